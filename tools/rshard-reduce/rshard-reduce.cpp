//===- rshard-reduce.cpp - makes a failing module small -------------------===//

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Support/LLVM.h"
#include "mlir/Tools/mlir-reduce/MlirReduceMain.h"
#include "rshard/Driver/CompilerContext.h"
#include "rshard/Driver/OutOfMemory.h"
#include "rshard/Register.h"

int main(int argc, char **argv) {
  rshard::endWhenOutOfMemory(argc, argv);
  mlir::DialectRegistry registry;
  rshard::registerDialects(registry);
  rshard::registerPasses();
  rshard::CompilerContext context(registry);
  context.printOpOnDiagnostic(false);
  return mlir::failed(mlir::mlirReduceMain(argc, argv, context)) ? 1 : 0;
}
