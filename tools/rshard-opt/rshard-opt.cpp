//===- rshard-opt.cpp - runs passes on IR of any phase --------------------===//

#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "rshard/Driver/CompilerContext.h"
#include "rshard/Driver/OutOfMemory.h"
#include "rshard/Register.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Threading.h"

static llvm::cl::opt<bool> *findSwitch(llvm::StringRef name) {
  auto options = llvm::cl::getRegisteredOptions();
  auto found = options.find(name);
  return found == options.end()
             ? nullptr
             : static_cast<llvm::cl::opt<bool> *>(found->second);
}

/// The place of what is wrong says enough: an op may be a whole model.
static void hideOpsOfDiagnostics() {
  auto *print = findSwitch("mlir-print-op-on-diagnostic");
  if (print && !print->getNumOccurrences())
    print->setValue(false);
}

/// mlir-opt's contexts start a thread per core and end the process where the
/// system does not give them all.
static void limitThreads() {
  if (rshard::countThreads() ==
      llvm::hardware_concurrency().compute_thread_count())
    return;
  if (auto *disable = findSwitch("mlir-disable-threading"))
    disable->setValue(true);
}

int main(int argc, char **argv) {
  rshard::endWhenOutOfMemory(argc, argv);
  mlir::DialectRegistry registry;
  rshard::registerDialects(registry);
  rshard::registerPasses();
  auto [input, output] = mlir::registerAndParseCLIOptions(
      argc, argv, "rshard optimizer\n", registry);
  limitThreads();
  hideOpsOfDiagnostics();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, input, output, registry));
}
