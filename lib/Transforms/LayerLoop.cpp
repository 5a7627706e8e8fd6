//===- LayerLoop.cpp - a loop over layers of several kinds ----------------===//

#include "LayerLoop.h"
#include "RShard/RShard.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace rshard;

static SmallVector<Value> emitSwitch(OpBuilder &builder, Location loc,
                                     ArrayRef<int32_t> distinct,
                                     ArrayRef<int32_t> kinds, Value layer,
                                     ValueRange carried, LayerBody body) {
  Value kind =
      LayerKindOp::create(builder, loc, builder.getIndexType(), layer, kinds);
  // The last kind is the default: layer_kind yields no other number.
  SmallVector<int64_t> cases(distinct.begin(), distinct.end() - 1);
  auto select = scf::IndexSwitchOp::create(builder, loc, carried.getTypes(),
                                           kind, cases, cases.size());
  auto emit = [&](Region &region, int32_t which) {
    OpBuilder::InsertionGuard guard(builder);
    builder.createBlock(&region);
    SmallVector<Value> results = body(builder, which, layer, carried);
    scf::YieldOp::create(builder, loc, results);
  };
  for (auto [region, which] : llvm::zip(select.getCaseRegions(), distinct))
    emit(region, which);
  emit(select.getDefaultRegion(), distinct.back());
  return SmallVector<Value>(select.getResults());
}

SmallVector<Value> rshard::emitLayerLoop(OpBuilder &builder, Location loc,
                                         int64_t first, int64_t last,
                                         ArrayRef<int32_t> kinds,
                                         ValueRange init, LayerBody body) {
  if (first >= last)
    return SmallVector<Value>(init);
  SmallVector<int32_t> distinct(kinds.slice(first, last - first));
  llvm::sort(distinct);
  distinct.erase(llvm::unique(distinct), distinct.end());

  Value lower = arith::ConstantIndexOp::create(builder, loc, first);
  Value upper = arith::ConstantIndexOp::create(builder, loc, last);
  Value one = arith::ConstantIndexOp::create(builder, loc, 1);
  auto loop = scf::ForOp::create(
      builder, loc, lower, upper, one, init,
      [&](OpBuilder &inner, Location at, Value layer, ValueRange carried) {
        SmallVector<Value> results =
            distinct.size() == 1
                ? body(inner, distinct.front(), layer, carried)
                : emitSwitch(inner, at, distinct, kinds, layer, carried, body);
        scf::YieldOp::create(inner, at, results);
      });
  return SmallVector<Value>(loop.getResults());
}
