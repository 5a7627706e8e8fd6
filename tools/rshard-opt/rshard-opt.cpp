//===- rshard-opt.cpp - runs passes on IR of any phase --------------------===//

#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "rshard/Driver/CompilerContext.h"
#include "rshard/Driver/OutOfMemory.h"
#include "rshard/Register.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Threading.h"

/// mlir-opt's contexts start a thread per core and end the process where the
/// system does not give them all.
static void limitThreads() {
  if (rshard::countThreads() ==
      llvm::hardware_concurrency().compute_thread_count())
    return;
  auto options = llvm::cl::getRegisteredOptions();
  auto disable = options.find("mlir-disable-threading");
  if (disable != options.end())
    static_cast<llvm::cl::opt<bool> *>(disable->second)->setValue(true);
}

int main(int argc, char **argv) {
  rshard::endWhenOutOfMemory(argc, argv);
  mlir::DialectRegistry registry;
  rshard::registerDialects(registry);
  rshard::registerPasses();
  auto [input, output] = mlir::registerAndParseCLIOptions(
      argc, argv, "rshard optimizer\n", registry);
  limitThreads();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, input, output, registry));
}
