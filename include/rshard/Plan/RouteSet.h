//===- RouteSet.h - the routes of a module ----------------------*- C++ -*-===//

#ifndef RSHARD_PLAN_ROUTESET_H
#define RSHARD_PLAN_ROUTESET_H

#include "RShard/RShard.h"
#include "mlir/IR/BuiltinOps.h"
#include "rshard/tokenset/Mask.h"
#include <vector>

namespace rshard {

/// The routes of a module of the partitioned or scheduled phase, by what they
/// are and not by their names.
class RouteSet {
public:
  /// Emits an error unless there is one route of kind enter, one of kind leave,
  /// and, for each of the classes 0, 1, ..., one of kinds query, key and
  /// partial each, with one mask.
  static mlir::FailureOr<RouteSet> create(mlir::ModuleOp module);

  RouteOp getEnter() const { return enter; }
  RouteOp getLeave() const { return leave; }
  RouteOp getQuery(int64_t number) const { return classes[number].query; }
  RouteOp getKey(int64_t number) const { return classes[number].key; }
  RouteOp getPartial(int64_t number) const { return classes[number].partial; }
  int64_t getNumClasses() const { return classes.size(); }
  /// Of every class.
  std::vector<tokenset::Mask> getMasks() const;

private:
  struct Class {
    RouteOp query, key, partial;
  };
  RouteOp &at(RouteKind kind, int64_t number);
  mlir::LogicalResult check(mlir::ModuleOp module);

  RouteOp enter, leave;
  llvm::SmallVector<Class> classes;
};

} // namespace rshard

#endif // RSHARD_PLAN_ROUTESET_H
