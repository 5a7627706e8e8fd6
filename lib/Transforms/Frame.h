//===- Frame.h - declares and reads the frame of a rank ---------*- C++ -*-===//

#ifndef RSHARD_LIB_TRANSFORMS_FRAME_H
#define RSHARD_LIB_TRANSFORMS_FRAME_H

#include "RShard/RShard.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringMap.h"

namespace rshard {

/// The buffers and tables that a driver uses, declared in the module and read
/// at the top of the driver, once each.
class Frame {
public:
  /// Declarations go to `declarations`, reads to the beginning of `driver`,
  /// whose first argument is the frame.
  Frame(mlir::OpBuilder declarations, mlir::func::FuncOp driver);

  /// The buffer of that name for rows of type `tensor`, whose dimensions but
  /// the first count as one: [rows, width], sized by a capacity class of the
  /// runtime.
  mlir::Value buffer(const llvm::Twine &name, mlir::ShapedType tensor,
                     llvm::StringRef rows);
  /// The table of that name: i32.
  mlir::Value table(const llvm::Twine &name);
  /// The number of entries of that table.
  mlir::Value size(const llvm::Twine &name);

  mlir::Value get() { return driver.getArgument(0); }
  mlir::Value comm() const { return communicator; }
  mlir::Value stream() const { return order; }
  int64_t getNumBuffers() const { return numBuffers; }
  int64_t getNumTables() const { return numTables; }

private:
  mlir::OpBuilder declarations, reads;
  mlir::func::FuncOp driver;
  mlir::Location loc;
  mlir::Value communicator, order;
  llvm::StringMap<mlir::Value> buffers, tables, sizes;
  int64_t numBuffers = 0, numTables = 0;
};

} // namespace rshard

#endif // RSHARD_LIB_TRANSFORMS_FRAME_H
