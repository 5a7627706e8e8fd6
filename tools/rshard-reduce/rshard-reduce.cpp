//===- rshard-reduce.cpp - makes a failing module small -------------------===//

#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Support/LLVM.h"
#include "mlir/Tools/mlir-reduce/MlirReduceMain.h"
#include "rshard/Register.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  rshard::registerDialects(registry);
  rshard::registerPasses();
  mlir::MLIRContext context(registry);
  return mlir::failed(mlir::mlirReduceMain(argc, argv, context)) ? 1 : 0;
}
