//===- Partitioner.h - from a planned model to programs ---------*- C++ -*-===//

#ifndef RSHARD_LIB_TRANSFORMS_PARTITIONER_H
#define RSHARD_LIB_TRANSFORMS_PARTITIONER_H

#include "LayerParts.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include <compare>
#include <map>

namespace rshard {

/// Layers whose attention is the same share their routes: a class.
struct AttentionClass {
  MaskAttr mask;
  mlir::FloatAttr scale, softCap; ///< softCap may be null
  mlir::RankedTensorType query, key;
  mlir::RankedTensorType partial, lse; ///< what AttnNodes return
  bool operator==(const AttentionClass &other) const {
    return mask == other.mask && scale == other.scale &&
           softCap == other.softCap && query == other.query && key == other.key;
  }
};

/// Which segment of which kind of layer; a pair is the end of one layer and the
/// beginning of one of kind `next`.
struct SegmentKey {
  enum Part { Embed, Enter, Pair, Leave, Finish, Head };
  Part part;
  int32_t kind = 0, next = 0;
  auto operator<=>(const SegmentKey &) const = default;
};

/// Builds the programs of the three roles from a planned module.
class Partitioner {
public:
  explicit Partitioner(mlir::ModuleOp module)
      : module(module), builder(module.getContext()) {}

  mlir::LogicalResult run();

  int64_t numSegments = 0, numRecomputed = 0;

private:
  mlir::LogicalResult analyze();
  mlir::LogicalResult checkInputs();
  mlir::LogicalResult checkCallersRows();
  mlir::LogicalResult collectClasses();
  mlir::LogicalResult checkNames();
  void declareRoutes();
  void emitSegments();
  void emitClient();
  void emitComp();
  void emitAttn();

  /// Writes the private function (layer, arguments...) -> results of a segment
  /// by `emit`, unless it is there already.
  void emitSegment(SegmentKey key, mlir::TypeRange arguments,
                   mlir::TypeRange results,
                   llvm::function_ref<llvm::SmallVector<mlir::Value>(
                       mlir::OpBuilder &, mlir::ValueRange)>
                       emit);
  /// Where the code of a segment stands in the model: its layer, or both.
  mlir::Location locOf(SegmentKey key);
  /// The attention of a kind, and of all kinds of a class.
  mlir::Location attentionOf(int32_t kind);
  mlir::Location attentionOfClass(int64_t number);
  mlir::func::FuncOp emitRole(llvm::StringRef name, Role role,
                              mlir::TypeRange results);
  llvm::SmallVector<mlir::Value> callSegment(mlir::OpBuilder &b, SegmentKey key,
                                             mlir::ValueRange operands);
  /// The number of a layer.
  mlir::Value constant(mlir::OpBuilder &b, int64_t value) {
    return mlir::arith::ConstantIndexOp::create(b, layers.getLoc(), value);
  }

  llvm::StringRef nameOf(int32_t kind) const {
    return kinds[kind].getLayer().getSymName();
  }
  std::string segmentName(SegmentKey key) const;
  std::string routeName(llvm::StringRef route, int32_t kind) const {
    return (route + llvm::Twine(classOf[kind])).str();
  }

  llvm::SmallVector<mlir::Type> enterResults(int32_t kind) const {
    const AttentionClass &c = classes[classOf[kind]];
    return {c.query, c.key, c.key};
  }
  llvm::SmallVector<mlir::Type> partialTypes(int32_t kind) const {
    const AttentionClass &c = classes[classOf[kind]];
    return {c.partial, c.lse, ids, ids};
  }
  mlir::Value mergePartials(mlir::OpBuilder &b, int32_t kind,
                            mlir::ValueRange partials) {
    return MergeOp::create(b, attentionOf(kind), classes[classOf[kind]].query,
                           partials[0], partials[1], partials[2], partials[3]);
  }
  llvm::SmallVector<mlir::Value>
  receivePartials(mlir::OpBuilder &b, int32_t kind, mlir::Value layer);
  void sendUp(mlir::OpBuilder &b, int32_t kind, mlir::ValueRange values,
              mlir::Value layer);
  mlir::Value emitClientLayers(mlir::OpBuilder &b, int64_t first, int64_t last,
                               mlir::Value rows, mlir::Value positions);

  mlir::ModuleOp module;
  mlir::OpBuilder builder;
  mlir::func::FuncOp main;
  LayersOp layers;
  llvm::SmallVector<LayerParts> kinds;
  llvm::SmallVector<int32_t> order;
  llvm::SmallVector<AttentionClass> classes;
  llvm::SmallVector<int32_t> classOf; // by kind
  llvm::SmallVector<mlir::Operation *> embedding, head;
  std::map<SegmentKey, mlir::func::FuncOp> segments;
  /// What enters the sharded layers, and what leaves them.
  mlir::Type rows, leaving;
  mlir::Type ids, index;
  /// The model takes rows of queries, keys and values, and no token ids.
  bool takesRows = false;
  mlir::Type partialElement;
  int64_t first = 0, end = 0; // the sharded layers
};

} // namespace rshard

#endif // RSHARD_LIB_TRANSFORMS_PARTITIONER_H
