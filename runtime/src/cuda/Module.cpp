#include "Module.h"

#include <algorithm>

namespace rshard::runtime::cuda {

namespace {

/// The first line of what the driver's assembler says.
Expected<void> assemble(const DriverApi &api, std::string_view ptx,
                        ModuleHandle &module) {
  std::string text(ptx), log(4096, '\0');
  int options[] = {jitErrorLog, jitErrorLogBytes};
  void *values[] = {log.data(), reinterpret_cast<void *>(log.size() - 1)};
  Result result = api.moduleLoad(&module, text.c_str(), 2, options, values);
  if (result == 0)
    return {};
  log.resize(std::min(log.find('\0'), log.find('\n')));
  return Error{api.check(result, "the artifact's PTX").error().message +
               (log.empty() ? std::string() : ": " + log)};
}

} // namespace

Expected<Module> Module::create(std::shared_ptr<Context> context,
                                const DeviceCode &code,
                                std::span<const KernelSpec> kernels) {
  const DriverApi &api = context->driver();
  Context::Use use(*context);
  Module out;
  ModuleHandle handle = nullptr;
  Result result =
      api.moduleLoad(&handle, code.cubin.data(), 0, nullptr, nullptr);
  if (result == noBinaryForGpu || result == invalidImage) {
    if (Expected<void> assembled = assemble(api, code.ptx, handle); !assembled)
      return Error{context->name() + ": " + assembled.error().message};
  } else if (auto loaded = api.check(result, "the artifact's kernels");
             !loaded) {
    return Error{context->name() + ": " + loaded.error().message};
  }
  out.context = std::move(context);
  out.handle = handle;
  for (const KernelSpec &spec : kernels) {
    FunctionHandle &function = out.functions.emplace_back();
    std::string name = "kernel " + spec.name;
    if (auto found = api.check(
            api.moduleGetFunction(&function, handle, spec.name.c_str()),
            name.c_str());
        !found)
      return found.error();
    if (spec.shared == 0)
      continue;
    if (auto set =
            api.check(api.functionSetAttribute(function, maxDynamicSharedBytes,
                                               static_cast<int>(spec.shared)),
                      name.c_str());
        !set)
      return Error{set.error().message + " (" + std::to_string(spec.shared) +
                   " bytes of shared memory)"};
  }
  return out;
}

Module::~Module() {
  if (!context)
    return;
  Context::Use use(*context);
  context->driver().moduleUnload(handle);
}

} // namespace rshard::runtime::cuda
