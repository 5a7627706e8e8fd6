//===- RowMerge.cpp - partials of a row, merged (C3) ----------------------===//

#include "RowMerge.h"
#include "RowElements.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/ADT/STLExtras.h"
#include <cmath>

using namespace mlir;

namespace rshard::cuda {

RowMerge::RowMerge(int64_t heads, int64_t headSize, Type partial, Type element)
    : heads(heads), headSize(headSize), partial(partial),
      count(std::min(elementsPerAccess(headSize, partial),
                     elementsPerAccess(headSize, element))) {}

void RowMerge::prepare(DeviceBuilder &k, ValueRange parameters) {
  o = k.asGlobal(parameters[0]);
  lse = k.asGlobal(parameters[1]);
  begin = k.asGlobal(parameters[2]);
  source = k.asGlobal(parameters[3]);
}

/// What `load` gives at each of `count` places from `first` on, `otherwise`
/// behind the last one.
static Values loadEach(DeviceBuilder &k, int64_t count, Int first, Int last,
                       Value otherwise, function_ref<Value(int64_t)> load) {
  Values out;
  for (int64_t j = 0; j != count; ++j)
    out.append(k.choose(
        first + j < last, otherwise.getType(), [&] { return Values{load(j)}; },
        [&] { return Values{otherwise}; }));
  return out;
}

SmallVector<Int> RowMerge::partialsFrom(DeviceBuilder &k, Int first,
                                        Int last) const {
  Values loaded =
      loadEach(k, batch, first, last, k.integer(0), [&](int64_t j) -> Value {
        return k.loadInt(source, first + j, /*constant=*/true);
      });
  return llvm::map_to_vector(loaded, [&](Value one) { return k.asInt(one); });
}

RowMerge::Row RowMerge::find(DeviceBuilder &k, Int row) const {
  Int first = k.loadInt(begin, row, /*constant=*/true),
      last = k.loadInt(begin, row + 1, /*constant=*/true);
  return {first, last, partialsFrom(k, first, last)};
}

Values RowMerge::loadLse(DeviceBuilder &k, ArrayRef<Int> partials, Int first,
                         Int last, Int head) const {
  return loadEach(k, batch, first, last, k.constant(-INFINITY), [&](int64_t j) {
    Long at = elementAt(k, partials[static_cast<size_t>(j)], heads, head);
    return k.load(k.f32(), k.at(lse, at, k.f32()));
  });
}

Values RowMerge::loadColumns(DeviceBuilder &k, ArrayRef<Int> partials,
                             Int first, Int last, Int column) const {
  Value zero =
      LLVM::ZeroOp::create(k.ops, k.loc, packedType(k, partial, count));
  return loadEach(k, batch, first, last, zero, [&](int64_t j) {
    Long at = elementAt(k, partials[static_cast<size_t>(j)], heads * headSize,
                        column);
    return loadPacked(k, o, at, partial, count);
  });
}

Values RowMerge::add(DeviceBuilder &k, ValueRange sums, ArrayRef<Float> weights,
                     ValueRange columns) const {
  Values out(sums);
  for (auto [weight, packed] : llvm::zip_equal(weights, columns)) {
    out[0] = k.asFloat(out[0]) + weight;
    for (auto [i, one] :
         llvm::enumerate(unpackElements(k, packed, partial, count)))
      out[i + 1] = k.fma(weight, one, k.asFloat(out[i + 1]));
  }
  return out;
}

SmallVector<Float> RowMerge::merge(DeviceBuilder &k, const Row &row,
                                   Int column) const {
  auto [first, last, partials] = row;
  Int head = column / headSize, rest = first + batch, step = k.integer(batch);
  Values lses = loadLse(k, partials, first, last, head),
         columns = loadColumns(k, partials, first, last, column);
  Float none = k.constant(-INFINITY), zero = k.constant(0.0);
  auto greatest = [&](Float top, ValueRange lses) {
    for (Value one : lses)
      top = k.max(top, k.asFloat(one));
    return top;
  };
  Float top =
      k.asFloat(k.loop(rest, last, step, Values{greatest(none, lses)},
                       [&](Int i, ValueRange carried) {
                         Values more = loadLse(k, partialsFrom(k, i, last), i,
                                               last, head);
                         return Values{greatest(k.asFloat(carried[0]), more)};
                       })[0]);
  // Where every lse is -inf the weights are exp(-inf - 0) = 0.
  Float shift = k.select(top == none, zero, top);
  auto weightsOf = [&](ValueRange lses) {
    return llvm::map_to_vector(lses, [&](Value one) {
      return k.exp2((k.asFloat(one) - shift) * log2e);
    });
  };
  SmallVector<Float> weights = weightsOf(lses);
  weights[0] = k.select(last - first == 1, k.constant(1.0), weights[0]);
  Values sums(static_cast<size_t>(count + 1), zero);
  sums = add(k, sums, weights, columns);
  sums = k.loop(rest, last, step, sums, [&](Int i, ValueRange carried) {
    SmallVector<Int> more = partialsFrom(k, i, last);
    return add(k, carried, weightsOf(loadLse(k, more, i, last, head)),
               loadColumns(k, more, i, last, column));
  });
  Float sum = k.asFloat(sums[0]);
  Float factor = k.select(sum == zero, zero, k.reciprocal(sum));
  return llvm::map_to_vector(
      ArrayRef<Value>(sums).drop_front(),
      [&](Value one) { return k.asFloat(one) * factor; });
}

} // namespace rshard::cuda
