#include "DriverApi.h"

#include <dlfcn.h>
#include <string>

namespace rshard::runtime::cuda {

namespace {

constexpr const char *libraryName = "libcuda.so.1";

Expected<DriverApi> load() {
  void *library = ::dlopen(libraryName, RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return Error{std::string("no CUDA driver on this machine: ") + ::dlerror()};
  DriverApi api;
  const char *missing = nullptr;
  auto find = [&](auto &function, const char *symbol) {
    void *address = ::dlsym(library, symbol);
    if (!address && !missing)
      missing = symbol;
    function =
        reinterpret_cast<std::remove_reference_t<decltype(function)>>(address);
  };
#define RSHARD_CUDA_FIND(name, symbol, parameters) find(api.name, #symbol);
  RSHARD_CUDA_FUNCTIONS(RSHARD_CUDA_FIND)
#undef RSHARD_CUDA_FIND
  if (missing)
    return Error{std::string("the CUDA driver is too old: ") + libraryName +
                 " has no " + missing};
  if (Expected<void> ready = api.check(api.init(0), "the CUDA driver"); !ready)
    return ready.error();
  return api;
}

} // namespace

Expected<const DriverApi *> DriverApi::get() {
  static const Expected<DriverApi> api = load();
  if (!api)
    return api.error();
  return &*api;
}

Expected<void> DriverApi::check(Result result, const char *what) const {
  if (result == 0)
    return {};
  const char *text = nullptr;
  if (getErrorString(result, &text) != 0 || !text)
    return Error{std::string(what) + ": error " + std::to_string(result)};
  return Error{std::string(what) + ": " + text};
}

} // namespace rshard::runtime::cuda
