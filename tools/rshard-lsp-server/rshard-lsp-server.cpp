//===- rshard-lsp-server.cpp - the language server for editors ------------===//

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Support/LLVM.h"
#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"
#include "rshard/Driver/OutOfMemory.h"
#include "rshard/Register.h"

int main(int argc, char **argv) {
  rshard::endWhenOutOfMemory(argc, argv);
  mlir::DialectRegistry registry;
  rshard::registerDialects(registry);
  return mlir::failed(mlir::MlirLspServerMain(argc, argv, registry)) ? 1 : 0;
}
