//===- DriverBuilder.h - the vocabulary of a driver -------------*- C++ -*-===//

#ifndef RSHARD_LIB_TRANSFORMS_DRIVERBUILDER_H
#define RSHARD_LIB_TRANSFORMS_DRIVERBUILDER_H

#include "mlir/IR/Builders.h"

namespace rshard {

/// Writes a driver: a builder and the location of what is being scheduled.
class DriverBuilder : public mlir::OpBuilder {
public:
  DriverBuilder(const mlir::OpBuilder &place, mlir::Location loc)
      : OpBuilder(place), loc(loc) {}
  /// At the end of a new block of the region.
  DriverBuilder(mlir::Region &region, mlir::Location loc)
      : OpBuilder(OpBuilder::atBlockEnd(&region.emplaceBlock())), loc(loc) {}

  const mlir::Location loc;

  mlir::Value constant(int64_t value);
  mlir::Value add(mlir::Value lhs, mlir::Value rhs);
  mlir::Value sub(mlir::Value lhs, mlir::Value rhs);
  mlir::Value mul(mlir::Value lhs, mlir::Value rhs);
  mlir::Value div(mlir::Value lhs, mlir::Value rhs);
  /// An entry of a table.
  mlir::Value load(mlir::Value table, mlir::Value index);
  /// begin[index] and begin[index + 1] - begin[index].
  std::pair<mlir::Value, mlir::Value> slice(mlir::Value begin,
                                            mlir::Value index);
  /// Rows [begin, begin + count) of a buffer or table.
  mlir::Value rowsOf(mlir::Value buffer, mlir::Value begin, mlir::Value count);
  /// A loop over [0, count).
  void forEach(mlir::Value count,
               llvm::function_ref<void(DriverBuilder &, mlir::Value)> body);
};

} // namespace rshard

#endif // RSHARD_LIB_TRANSFORMS_DRIVERBUILDER_H
