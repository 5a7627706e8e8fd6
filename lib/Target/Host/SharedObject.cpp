//===- SharedObject.cpp - from LLVM dialect to an ELF shared object -------===//

#include "rshard/Target/Host/SharedObject.h"
#include "lld/Common/Driver.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/Transforms/Instrumentation/AddressSanitizer.h"

LLD_HAS_DRIVER(elf)

using namespace mlir;

namespace rshard {

namespace {

/// What generated code may import: what LLVM turns copies and fills into.
constexpr llvm::StringLiteral allowedImports[] = {"memcpy", "memmove",
                                                  "memset"};

class Emitter {
public:
  Emitter(ModuleOp module, const HostCpu &cpu,
          const SharedObjectOptions &options)
      : module(module), cpu(cpu), options(options) {}

  FailureOr<SmallVector<char, 0>> run() {
    SmallVector<char, 0> object, shared;
    if (failed(createMachine()) || failed(translate()) ||
        failed(generate(object)) || failed(link(object, shared)) ||
        failed(checkImports(shared)))
      return failure();
    return shared;
  }

private:
  InFlightDiagnostic error() {
    return module.emitError("cannot emit host code: ");
  }

  LogicalResult createMachine() {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    llvm::Triple triple(llvm::sys::getDefaultTargetTriple());
    std::string reason;
    const llvm::Target *backend =
        llvm::TargetRegistry::lookupTarget(triple, reason);
    if (!backend)
      return error() << reason;
    // Strict: only the kernels' explicit fma may round once, so that a row gets
    // the same bits wherever the optimizer finds a product beside a sum (C9).
    llvm::TargetOptions flags;
    flags.AllowFPOpFusion = llvm::FPOpFusion::Strict;
    machine.reset(backend->createTargetMachine(
        triple, "x86-64", cpu.featureString(), flags, llvm::Reloc::PIC_,
        std::nullopt, llvm::CodeGenOptLevel::Aggressive));
    if (!machine)
      return error() << "no code generator for " << triple.str();
    return success();
  }

  LogicalResult translate() {
    // func.func's private visibility does not become internal linkage by
    // itself, without which nothing would be inlined away.
    module.walk([&](LLVM::LLVMFuncOp function) {
      if (!function.isExternal() &&
          SymbolTable::getSymbolVisibility(function) ==
              SymbolTable::Visibility::Private)
        function.setLinkage(LLVM::Linkage::Internal);
    });
    DialectRegistry registry;
    registerBuiltinDialectTranslation(registry);
    registerLLVMDialectTranslation(registry);
    module.getContext()->appendDialectRegistry(registry);
    code = translateModuleToLLVMIR(module, context, "rshard");
    if (!code)
      return error() << "translation to LLVM IR failed";
    code->setTargetTriple(machine->getTargetTriple());
    code->setDataLayout(machine->createDataLayout());
    std::string width = std::to_string(cpu.vectorBits);
    for (llvm::Function &function : *code) {
      if (function.isDeclaration())
        continue;
      function.addFnAttr("target-cpu", "x86-64");
      function.addFnAttr("tune-cpu", cpu.name);
      function.addFnAttr("target-features", cpu.featureString());
      function.addFnAttr("prefer-vector-width", width);
      // Row copies stay inline vector moves.
      function.addFnAttr("no-builtins");
      function.addFnAttr(llvm::Attribute::NoUnwind);
      if (options.addressSanitizer)
        function.addFnAttr(llvm::Attribute::SanitizeAddress);
    }
    return success();
  }

  LogicalResult generate(SmallVector<char, 0> &object) {
    llvm::LoopAnalysisManager loops;
    llvm::FunctionAnalysisManager functions;
    llvm::CGSCCAnalysisManager graph;
    llvm::ModuleAnalysisManager modules;
    llvm::PassBuilder builder(machine.get());
    builder.registerModuleAnalyses(modules);
    builder.registerCGSCCAnalyses(graph);
    builder.registerFunctionAnalyses(functions);
    builder.registerLoopAnalyses(loops);
    builder.crossRegisterProxies(loops, functions, graph, modules);
    llvm::ModulePassManager passes =
        builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O3);
    if (options.addressSanitizer)
      passes.addPass(
          llvm::AddressSanitizerPass(llvm::AddressSanitizerOptions()));
    passes.run(*code, modules);

    llvm::raw_svector_ostream stream(object);
    llvm::legacy::PassManager backend;
    if (machine->addPassesToEmitFile(backend, stream, nullptr,
                                     llvm::CodeGenFileType::ObjectFile))
      return error() << "the target cannot emit an object file";
    backend.run(*code);
    return success();
  }

  /// Runs lld, which reads and writes files only.
  LogicalResult link(ArrayRef<char> object, SmallVector<char, 0> &shared) {
    SmallString<128> input, output;
    if (std::error_code code =
            llvm::sys::fs::createTemporaryFile("rshard", "o", input))
      return error() << "no temporary file: " << code.message();
    llvm::FileRemover removeInput(input);
    if (std::error_code code =
            llvm::sys::fs::createTemporaryFile("rshard", "so", output))
      return error() << "no temporary file: " << code.message();
    llvm::FileRemover removeOutput(output);
    {
      std::error_code code;
      llvm::raw_fd_ostream stream(input, code);
      stream.write(object.data(), object.size());
      stream.close();
      if (!code)
        code = stream.error();
      // A stream that is left with an error ends the process.
      stream.clear_error();
      if (code)
        return error() << "cannot write " << input << ": " << code.message();
    }
    std::string messages;
    llvm::raw_string_ostream stream(messages);
    const char *arguments[] = {"ld.lld",
                               "-shared",
                               "-o",
                               output.c_str(),
                               input.c_str(),
                               "-z",
                               "now",
                               "--strip-all",
                               "--hash-style=gnu",
                               "--build-id=none",
                               "--threads=1",
                               "-O1",
                               "--allow-shlib-undefined"};
    lld::Result result =
        lld::lldMain(arguments, stream, stream, {{lld::Gnu, &lld::elf::link}});
    if (result.retCode)
      return error() << "linking failed: " << llvm::StringRef(messages).trim();
    auto bytes = llvm::MemoryBuffer::getFile(output, /*IsText=*/false,
                                             /*RequiresNullTerminator=*/false);
    if (!bytes)
      return error() << "cannot read " << output << ": "
                     << bytes.getError().message();
    shared.assign((*bytes)->getBufferStart(), (*bytes)->getBufferEnd());
    return success();
  }

  LogicalResult checkImports(ArrayRef<char> shared) {
    llvm::MemoryBufferRef buffer({shared.data(), shared.size()},
                                 "shared object");
    auto file = llvm::object::ObjectFile::createELFObjectFile(buffer);
    if (!file)
      return error() << "the linked object is not readable: "
                     << llvm::toString(file.takeError());
    auto *elf = llvm::dyn_cast<llvm::object::ELFObjectFileBase>(file->get());
    if (!elf)
      return error() << "the linked object is not ELF";
    for (llvm::object::ELFSymbolRef symbol : elf->getDynamicSymbolIterators()) {
      auto flags = symbol.getFlags();
      auto name = symbol.getName();
      if (!flags || !name) {
        llvm::consumeError(flags.takeError());
        llvm::consumeError(name.takeError());
        return error() << "the linked object has a damaged symbol table";
      }
      if (!(*flags & llvm::object::SymbolRef::SF_Undefined) || name->empty())
        continue;
      if (llvm::is_contained(allowedImports, *name) ||
          (options.addressSanitizer && name->starts_with("__asan_")))
        continue;
      return error() << "the code imports '" << *name
                     << "', which is not part of the runtime's ABI";
    }
    return success();
  }

  ModuleOp module;
  const HostCpu &cpu;
  const SharedObjectOptions &options;
  llvm::LLVMContext context;
  std::unique_ptr<llvm::TargetMachine> machine;
  std::unique_ptr<llvm::Module> code;
};

} // namespace

FailureOr<SmallVector<char, 0>>
emitSharedObject(ModuleOp module, const HostCpu &cpu,
                 const SharedObjectOptions &options) {
  return Emitter(module, cpu, options).run();
}

} // namespace rshard
