//===- Assemble.cpp - from a gpu.module to PTX and a cubin ----------------===//

#include "rshard/Target/CUDA/Assemble.h"
#include "ComputeCapability.h"
#include "RShard/RShard.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/NVVMToLLVM/NVVMToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

using namespace mlir;

namespace rshard::cuda {

FailureOr<std::string> findAssembler(StringRef path, Location loc) {
  if (!path.empty()) {
    if (llvm::sys::fs::can_execute(path))
      return path.str();
    return emitError(loc) << "cannot run ptxas: '" << path
                          << "' is not an executable file";
  }
  SmallString<128> own; // what the user says
  if (std::optional<std::string> home = llvm::sys::Process::GetEnv("CUDA_HOME");
      home && !home->empty()) { // empty, it would mean the working directory
    own = *home;
    llvm::sys::path::append(own, "bin");
    if (llvm::ErrorOr<std::string> found =
            llvm::sys::findProgramByName("ptxas", {own.str()}))
      return *found;
  }
  llvm::ErrorOr<std::string> found = llvm::sys::findProgramByName("ptxas");
  if (!found)
    found = llvm::sys::findProgramByName("ptxas",
                                         {StringRef("/usr/local/cuda/bin")});
  if (!found)
    return emitError(loc) << "no ptxas in $CUDA_HOME/bin ("
                          << (own.empty() ? "not set" : own.str())
                          << "), PATH or /usr/local/cuda/bin: install the CUDA "
                             "toolkit or pass --ptxas";
  if (!own.empty())
    emitWarning(loc) << "no ptxas in $CUDA_HOME/bin (" << own.str()
                     << "): " << *found << " is taken";
  return *found;
}

/// To the LLVM dialect. The order matters: see the pass documentation of
/// convert-nvvm-to-llvm, which takes the operations that are PTX text.
static LogicalResult lower(ModuleOp module) {
  PassManager passes(module.getContext());
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
  passes.addPass(createSCFToControlFlowPass());
  passes.addPass(createConvertNVVMToLLVMPass());
  passes.addPass(createArithToLLVMConversionPass());
  passes.addPass(createConvertControlFlowToLLVMPass());
  passes.addPass(createReconcileUnrealizedCastsPass());
  return passes.run(module);
}

/// That the grid is whole clusters, for any number of rows and on any device.
static LogicalResult checkCluster(Operation &kernel, KernelAttr launch) {
  auto shape = kernel.getAttrOfType<DenseI32ArrayAttr>(
      NVVM::NVVMDialect::getClusterDimAttrName());
  if (!shape)
    return success();
  int64_t cluster = 1;
  for (int32_t blocks : shape.asArrayRef())
    cluster *= blocks;
  if (cluster < 1 || cluster > maxCluster)
    return kernel.emitOpError("blocks of a cluster: ")
           << cluster << " vs 1 to " << maxCluster;
  if (launch.getBlocks() % cluster)
    return kernel.emitOpError("blocks of the grid: multiples of ")
           << launch.getBlocks() << " vs of " << cluster << ", the cluster's";
  if (cluster != 1 && launch.getResident())
    return kernel.emitOpError("blocks of the grid: ")
           << launch.getResident() << " for each multiprocessor vs clusters of "
           << cluster;
  return success();
}

/// That the device can run a block of every kernel, and its clusters.
static LogicalResult checkLimits(gpu::GPUModuleOp kernels) {
  for (Operation &op : *kernels.getBody()) {
    auto launch = op.getAttrOfType<KernelAttr>(kernelAttrName);
    if (!launch)
      continue;
    if (launch.getThreads() > maxThreads || launch.getThreads() % warpThreads)
      return op.emitOpError("threads of a block: ")
             << launch.getThreads() << " vs a multiple of " << warpThreads
             << " up to " << maxThreads;
    if (launch.getShared() > maxShared)
      return op.emitOpError("shared memory of a block: ")
             << launch.getShared() << " bytes vs at most " << maxShared;
    if (failed(checkCluster(op, launch)))
      return failure();
  }
  return success();
}

FailureOr<std::string> emitPTX(gpu::GPUModuleOp kernels) {
  if (failed(checkLimits(kernels)))
    return failure();
  auto error = [&] { return kernels.emitError("cannot emit cuda code: "); };
  MLIRContext *context = kernels.getContext();
  OpBuilder ops(context);
  OwningOpRef<ModuleOp> module = ModuleOp::create(kernels.getLoc());
  ops.setInsertionPointToEnd(module->getBody());
  for (Operation &op : *kernels.getBody()) {
    Operation *copy = ops.clone(op);
    // Said to the runtime, not to the code generator.
    copy->removeAttr(kernelAttrName);
    copy->removeAttr(gpu::GPUDialect::getKernelFuncAttrName());
  }
  if (failed(lower(*module)))
    return failure();

  LLVMInitializeNVPTXTarget();
  LLVMInitializeNVPTXTargetInfo();
  LLVMInitializeNVPTXTargetMC();
  LLVMInitializeNVPTXAsmPrinter();
  llvm::Triple triple("nvptx64-nvidia-cuda");
  std::string reason;
  const llvm::Target *backend =
      llvm::TargetRegistry::lookupTarget(triple, reason);
  if (!backend)
    return error() << reason;
  std::unique_ptr<llvm::TargetMachine> machine(backend->createTargetMachine(
      triple, chip, "+ptx86", llvm::TargetOptions(), std::nullopt, std::nullopt,
      llvm::CodeGenOptLevel::Aggressive));
  if (!machine)
    return error() << "no code generator for " << triple.str();

  DialectRegistry registry;
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registerNVVMDialectTranslation(registry);
  context->appendDialectRegistry(registry);
  llvm::LLVMContext llvmContext;
  std::unique_ptr<llvm::Module> code =
      translateModuleToLLVMIR(*module, llvmContext, "rshard");
  if (!code)
    return error() << "translation to LLVM IR failed";
  code->setTargetTriple(triple);
  code->setDataLayout(machine->createDataLayout());
  // LLVM's -O3 pipeline makes these kernels 3 % slower: straight to the code
  // generator.
  SmallString<0> ptx;
  llvm::raw_svector_ostream stream(ptx);
  llvm::legacy::PassManager emission;
  if (machine->addPassesToEmitFile(emission, stream, nullptr,
                                   llvm::CodeGenFileType::AssemblyFile))
    return error() << "the target cannot emit PTX";
  emission.run(*code);
  return std::string(ptx);
}

namespace {
/// Reads what `ptxas -v` prints: lines about one function follow the line that
/// names it.
class AssemblerReport {
public:
  AssemblerReport(gpu::GPUModuleOp kernels) : kernels(kernels) {}

  LogicalResult read(StringRef text) {
    SmallVector<StringRef> lines;
    text.split(lines, '\n', -1, /*KeepEmpty=*/false);
    for (StringRef line : lines)
      if (failed(readLine(line)))
        return failure();
    llvm::sort(uses, [](const KernelUse &a, const KernelUse &b) {
      return a.name < b.name;
    });
    return success();
  }
  std::vector<KernelUse> uses;

private:
  LogicalResult reject(StringRef line) {
    Operation *at = kernels.lookupSymbol(function);
    return (at ? at : kernels.getOperation())->emitError("kernel '")
           << function << "' assembles badly: " << line.trim();
  }
  LogicalResult readLine(StringRef line) {
    if (line.contains("Compiling entry function") ||
        line.contains("Function properties for"))
      function = name(line);
    if (line.contains("(C75"))
      return reject(line);
    if (line.contains("bytes stack frame") &&
        !line.contains("0 bytes stack frame, 0 bytes spill stores, 0 bytes "
                       "spill loads"))
      return reject(line);
    size_t used = line.find("Used ");
    int64_t registers = 0;
    if (used != StringRef::npos &&
        !line.substr(used + 5).split(' ').first.getAsInteger(10, registers))
      uses.push_back({function, registers});
    return success();
  }
  static std::string name(StringRef line) {
    if (line.contains('\''))
      return line.split('\'').second.split('\'').first.str();
    return line.rsplit(' ').second.trim().str();
  }

  gpu::GPUModuleOp kernels;
  std::string function;
};
} // namespace

/// What an assembler that said all is well wrote, if that is no code for the
/// chip; empty: it is.
static std::string describeForeign(StringRef bytes) {
  if (bytes.empty())
    return "nothing";
  auto file = llvm::object::ObjectFile::createELFObjectFile(
      llvm::MemoryBufferRef(bytes, "cubin"));
  if (!file) {
    llvm::consumeError(file.takeError());
    return "no ELF file";
  }
  auto *elf = llvm::cast<llvm::object::ELFObjectFileBase>(file->get());
  if (elf->getEMachine() != llvm::ELF::EM_CUDA)
    return "an ELF file of another machine";
  // `sm_90` stands for code that uses what `sm_90a` adds.
  std::string known = elf->tryGetCPUName().value_or("an unknown chip").str();
  return chip.starts_with(known) ? "" : "code for " + known;
}

FailureOr<DeviceCode> assemble(gpu::GPUModuleOp kernels, StringRef assembler) {
  auto error = [&] { return kernels.emitError("cannot emit cuda code: "); };
  FailureOr<std::string> ptx = emitPTX(kernels);
  if (failed(ptx))
    return failure();
  SmallString<128> input, output, log;
  for (auto [path, suffix] :
       {std::pair(&input, "ptx"), {&output, "cubin"}, {&log, "log"}})
    if (std::error_code code =
            llvm::sys::fs::createTemporaryFile("rshard", suffix, *path))
      return error() << "no temporary file: " << code.message();
  llvm::FileRemover removeInput(input), removeOutput(output), removeLog(log);
  {
    std::error_code code;
    llvm::raw_fd_ostream stream(input, code);
    stream << *ptx;
    stream.close();
    if (stream.has_error())
      code = stream.error();
    stream.clear_error(); // it has been seen
    if (code)
      return error() << "cannot write " << input << ": " << code.message();
  }
  StringRef arguments[] = {assembler, "-arch=sm_90a", "-v",  "-O3",
                           input,     "-o",           output};
  std::optional<StringRef> redirects[] = {StringRef(), StringRef(log),
                                          StringRef(log)};
  std::string reason;
  int status = llvm::sys::ExecuteAndWait(assembler, arguments, std::nullopt,
                                         redirects, 0, 0, &reason);
  auto said = llvm::MemoryBuffer::getFile(log);
  StringRef text = said ? (*said)->getBuffer() : StringRef();
  if (status != 0)
    return error() << assembler << " failed"
                   << (reason.empty() ? " with status " + std::to_string(status)
                                      : ": " + reason)
                   << (text.trim().empty() ? "" : ": ")
                   << text.take_front(2000).trim();
  AssemblerReport report(kernels);
  if (failed(report.read(text)))
    return failure();
  auto cubin = llvm::MemoryBuffer::getFile(output);
  if (!cubin)
    return error() << "cannot read " << output;
  DeviceCode result;
  result.ptx = std::move(*ptx);
  StringRef bytes = (*cubin)->getBuffer();
  if (std::string foreign = describeForeign(bytes); !foreign.empty())
    return error() << assembler << " wrote " << foreign << " vs a cubin for "
                   << chip;
  result.cubin.assign(bytes.begin(), bytes.end());
  result.kernels = std::move(report.uses);
  return result;
}

} // namespace rshard::cuda
