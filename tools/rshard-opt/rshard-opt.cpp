//===- rshard-opt.cpp - runs passes on IR of any phase --------------------===//

#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "rshard/Register.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  rshard::registerDialects(registry);
  rshard::registerPasses();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "rshard optimizer\n", registry));
}
