//===- Program.cpp - from a module to an artifact -------------------------===//

#include "rshard/Driver/Program.h"
#include "ManifestBuilder.h"
#include "rshard/Target/CPU/GenerateKernels.h"
#include "rshard/Target/CUDA/Assemble.h"
#include "rshard/Target/CUDA/GenerateKernels.h"
#include "rshard/Target/Host/HostCode.h"
#include "rshard/runtime/Artifact.h"

using namespace mlir;
using namespace rshard;

std::string rshard::getProducer() { return "rshard " RSHARD_VERSION; }

FailureOr<Program> rshard::compileProgram(ModuleOp module, Phase from,
                                          const ProgramOptions &options) {
  if (from > Phase::Partitioned)
    return module.emitError("phase ")
           << getPhaseName(from) << " vs partitioned or an earlier one: an "
           << "artifact holds the partitioned program";
  PhaseOptions phases = options.phases;
  phases.to = Phase::Partitioned;
  if (failed(runPhases(module, from, phases)))
    return failure();
  Program program;
  program.ir = printModule(module);
  phases.to = Phase::Scheduled;
  if (failed(runPhases(module, Phase::Partitioned, phases)))
    return failure();

  auto cpu = HostCpu::get(options.cpu, [&] { return module.emitError(); });
  if (failed(cpu))
    return failure();
  bool onDevice = options.target == Target::CUDA;
  FailureOr<std::string> assembler = failure();
  if (onDevice) {
    assembler = cuda::findAssembler(options.assembler, module.getLoc());
    if (failed(assembler))
      return failure();
  }
  auto kernels = onDevice ? cuda::generateKernels(module)
                          : cpu::generateKernels(module, options.cpu);
  if (failed(kernels))
    return failure();
  auto manifest = buildManifest(module, **kernels, *cpu, program.ir);
  if (failed(manifest))
    return failure();
  program.manifest = std::move(*manifest);
  program.manifest.producer = getProducer();
  program.manifest.hashes.content = options.content;
  // The runtime's own reader has the last word on what may be written.
  if (auto read = runtime::Manifest::fromJson(program.manifest.toJson()); !read)
    return module.emitError("no runtime would read the artifact: ")
           << read.error().message;
  if (onDevice) {
    auto device = cuda::assemble(cuda::getKernels(**kernels), *assembler);
    if (failed(device))
      return failure();
    program.ptx = std::move(device->ptx);
    program.cubin = std::move(device->cubin);
  }
  auto host = compileHostCode(**kernels, *cpu,
                              {.addressSanitizer = options.addressSanitizer});
  if (failed(host))
    return failure();
  program.host = std::move(*host);
  return program;
}

LogicalResult rshard::writeProgram(MLIRContext *context, const Program &program,
                                   const std::string &path) {
  auto bytes = [](ArrayRef<char> code) {
    return std::as_bytes(std::span(code.data(), code.size()));
  };
  auto written =
      runtime::writeArtifact(path, program.manifest, bytes(program.host),
                             program.ir, {bytes(program.cubin), program.ptx});
  if (!written)
    return emitError(UnknownLoc::get(context)) << written.error().message;
  return success();
}
