//===- SmallLinear.cpp - matrix products for few rows ---------------------===//
//
// With few rows the time is that of reading w once. A block owns 8 or 16 rows
// of w. Its warps take parts of K in turn, load a part with 8 accesses of 16
// bytes for each thread, and multiply by mma.sync, which costs nothing here and
// serves all rows of x at once; their sums are added in the order of the warps.
// So a row's bits depend neither on the other rows nor on their number. The
// first part of w is asked for before the earlier kernels have ended.
//
// The 16 bytes that a thread loads are 8 neighbouring values of K of one row.
// An mma wants pairs of k from each of its threads, and any pairs will do as
// long as those of w and x agree: nothing is moved between threads. w is the
// operand whose registers an access fills in their order: nothing is moved
// between its registers either, which would wait for the access.
//
// The squares of inputs that are to be normalised are summed on their way to
// the products; a row's factor, which all of its products share, is applied to
// the sums.
//
// A single partial is read where attention has left it (PartialInput.h).
//
// Where queries and keys are rotated, a block has 8 rows of the first half of a
// head and the 8 of the second that they are turned with.
//
//===----------------------------------------------------------------------===//

#include "Activate.h"
#include "ComputeCapability.h"
#include "PartialInput.h"
#include "RowElements.h"
#include "WarpMma.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace rshard::cuda {

namespace {

constexpr int64_t warps = 8;
constexpr int64_t perThread = 8;          // values of K of an access, 16 bytes
constexpr int64_t perRow = 4 * perThread; // of the four threads of a row
constexpr int64_t accesses = 8;           // of a thread to w, for a part
constexpr int64_t perMma = 8;             // rows of w
/// Weights of so many rows need blocks of fewer rows to occupy all
/// multiprocessors (two blocks for each of an H100's).
constexpr int64_t narrow = multiprocessors * 2 * perMma;

class SmallLinear {
public:
  SmallLinear(const LinearParams &params, const LinearSchedule &schedule)
      : params(params), rowsOfX(schedule.tileRows),
        // A gate and its up are eight rows each.
        groups(params.gated || params.weightRows() > narrow ? 2 : 1),
        apart(params.rotation ? params.rotation->headSize / 2 : perMma),
        width(elementsPerAccess(params.inputs, params.element)),
        perPart(accesses / groups * perRow), parts(params.inputs / perPart),
        pitch(groups * perMma + 4) {}

  int64_t blocks() const {
    return (params.weightRows() + weightRows() - 1) / weightRows();
  }
  int64_t sharedBytes() const { return warps * warpBytes(); }
  void build(DeviceBuilder &k, ValueRange parameters);

private:
  int64_t weightRows() const { return groups * perMma; }
  int64_t warpBytes() const { return rowsOfX * pitch * 4; }
  /// This thread's values of w of a part, and their products with those of x.
  SmallVector<Values> loadWeights(DeviceBuilder &k, Int part, bool whole);
  Values multiplyPart(DeviceBuilder &k, ArrayRef<Values> w, Int part,
                      ValueRange sums, bool whole);
  /// Eight values of K, packed in four registers. Those behind the last one
  /// are zero if not `whole`.
  Values loadEight(DeviceBuilder &k, Global row, int64_t offset, Int at,
                   bool whole, bool streamed);
  /// `width` of them; a single one is not packed.
  Values load(DeviceBuilder &k, Global from, bool streamed);
  /// Eight values of x from `i` on, of this thread's row number `row`; with a
  /// norm their squares go to `squares`.
  Values loadInputs(DeviceBuilder &k, size_t row, Int first, int64_t i, Int at,
                    bool whole, Value &squares);
  void finish(DeviceBuilder &k);
  Float total(DeviceBuilder &k, Int row, Int column);
  Float sumOfWarps(DeviceBuilder &k, Int row, Int column);
  /// Asks for what a rotation takes, and waits for earlier kernels.
  void waitWithAngles(DeviceBuilder &k);
  Float rotate(DeviceBuilder &k, Float own, Int row, Int inColumns, Int column);
  /// What the squares of a row have in place of a row of w, in the padding.
  int64_t squaresColumn() const { return groups * perMma; }

  const LinearParams &params;
  int64_t rowsOfX, groups;
  int64_t apart; ///< rows of w from one group to the next
  int64_t width, perPart, parts, pitch;

  LinearOperands operands;
  Int shared, firstRow, firstWeight, inRow;
  Int position;
  Float cosine, sine;
  SmallVector<Global> ownX, ownW; // this thread's rows
};

} // namespace

bool canRotateFew(const LinearParams &params) {
  return params.weightRows() > narrow && rotatesHeads(params, 2 * perMma);
}

void SmallLinear::build(DeviceBuilder &k, ValueRange parameters) {
  operands = LinearOperands(k, params, parameters);
  Int rows = operands.rows;
  Global x = k.asGlobal(operands.x), w = k.asGlobal(operands.w);
  shared = k.sharedMemory();
  firstRow = k.block() / blocks() * rowsOfX;
  firstWeight = k.block() % blocks() * weightRows();
  if (params.rotation) {
    int64_t head = params.rotation->headSize;
    firstWeight = firstWeight / head * head + firstWeight % head / groups;
    // Of the value that this thread finishes: one at most. No kernel writes
    // the table.
    Int row = k.min(firstRow + k.thread() / weightRows(), rows - 1);
    position =
        k.asInt(k.load(k.i32(), k.at(operands.positions, k.widen(row), k.i32()),
                       /*constant=*/true));
  }

  // Rows beyond the last one repeat it; nothing is stored for them.
  Int eighth = k.lane() >> 2;
  inRow = (k.lane() & 3) * perThread;
  auto rowOf = [&](Global base, Int row, Int last) {
    return k.at(base,
                k.widen(k.min(row, last)) * params.inputs + k.widen(inRow),
                params.element);
  };
  for (int64_t i = 0; i != groups; ++i)
    ownW.push_back(rowOf(w, firstWeight + eighth + apart * i,
                         k.integer(params.weightRows() - 1)));
  for (int64_t i = 0; i != rowsOfX / 8; ++i)
    ownX.push_back(params.partial
                       ? findPartial(k, params, operands, inRow)
                       : rowOf(x, firstRow + eighth + 8 * i, rows - 1));

  // The sums of products, then those of squares.
  Values sums(static_cast<size_t>(4 * groups + rowsOfX / 8), k.constant(0.0));
  Int warp = k.warp();
  auto take = [&](Int part, ValueRange sums, bool whole) {
    return multiplyPart(k, loadWeights(k, part, whole), part, sums, whole);
  };
  Int part = warp;
  if (parts >= warps) {
    SmallVector<Values> early = loadWeights(k, warp, /*whole=*/true);
    waitWithAngles(k);
    sums = multiplyPart(k, early, warp, sums, /*whole=*/true);
    part = warp + warps;
  } else {
    waitWithAngles(k);
  }
  if (parts != 0)
    sums = k.loop(part, k.integer(parts), k.integer(warps), sums,
                  [&](Int part, ValueRange carried) {
                    return take(part, carried, /*whole=*/true);
                  });
  if (params.inputs % perPart != 0)
    sums = k.choose(
        warp == parts % warps, TypeRange(ValueRange(sums)),
        [&] { return take(k.integer(parts), sums, /*whole=*/false); },
        [&] { return sums; });

  // [warp][row of x][row of w]
  Int mine =
      shared + warp * warpBytes() + (eighth * pitch + (k.lane() & 3) * 2) * 4;
  for (int64_t group = 0; group != groups; ++group)
    for (int64_t i = 0; i != rowsOfX / 8; ++i)
      k.storeShared(k.combine(ValueRange(sums).slice(
                        static_cast<size_t>(4 * group + 2 * i), 2)),
                    mine + 4 * (8 * i * pitch + perMma * group));
  if (params.normEpsilon)
    for (int64_t i = 0; i != rowsOfX / 8; ++i) {
      // Of the four threads of a row.
      Float squares = k.asFloat(sums[static_cast<size_t>(4 * groups + i)]);
      for (int64_t mask : {1, 2})
        squares = squares + k.shuffleXor(squares, mask);
      k.when((k.lane() & 3) == 0, [&] {
        k.storeShared(squares, mine + 4 * (8 * i * pitch + squaresColumn()));
      });
    }
  k.syncBlock();
  finish(k);
}

Values SmallLinear::load(DeviceBuilder &k, Global from, bool streamed) {
  if (width == perThread && streamed)
    // Weights are read once: they pass by the L1 cache, which is for x.
    return k.inlineAsm(
        "ld.global.nc.L1::no_allocate.L2::128B.v4.b32 {$0, $1, $2, $3}, [$4];",
        SmallVector<Type>(4, k.i32()), {{from, "l"}}, /*memory=*/false);
  if (width == 1)
    return {k.load(params.element, from, streamed)};
  if (width == 2)
    return {k.load(k.i32(), from, streamed)};
  Value packed = k.load(VectorType::get({width / 2}, k.i32()), from, streamed);
  Values out;
  for (int64_t i = 0; i != width / 2; ++i)
    out.push_back(k.extract(packed, i));
  return out;
}

Values SmallLinear::loadEight(DeviceBuilder &k, Global row, int64_t offset,
                              Int at, bool whole, bool streamed) {
  Values pieces;
  for (int64_t i = 0; i != perThread; i += width) {
    Global from = k.at(row, k.longInteger(offset + i), params.element);
    if (whole) {
      pieces.append(load(k, from, streamed));
      continue;
    }
    Value zero = width == 1 ? k.convert(k.constant(0.0), params.element)
                            : Value(k.integer(0));
    Values zeros(static_cast<size_t>(std::max<int64_t>(width / 2, 1)), zero);
    pieces.append(k.choose(
        at + (offset + i) < params.inputs, TypeRange(ValueRange(zeros)),
        [&] { return load(k, from, streamed); }, [&] { return zeros; }));
  }
  if (width != 1)
    return pieces;
  Values out;
  for (size_t i = 0; i != pieces.size(); i += 2)
    out.push_back(
        k.pack(k.convert(pieces[i]), k.convert(pieces[i + 1]), params.element));
  return out;
}

SmallVector<Values> SmallLinear::loadWeights(DeviceBuilder &k, Int part,
                                             bool whole) {
  Int first = part * perPart, at = first + inRow;
  SmallVector<Values> w;
  for (int64_t i = 0; i != perPart; i += perRow)
    for (Global row : ownW)
      w.push_back(loadEight(k, k.at(row, k.widen(first), params.element), i, at,
                            whole, /*streamed=*/true));
  return w;
}

Values SmallLinear::multiplyPart(DeviceBuilder &k, ArrayRef<Values> w, Int part,
                                 ValueRange sums, bool whole) {
  Int first = part * perPart, at = first + inRow;
  Values out(sums);
  Value zero = k.integer(0);
  for (int64_t i = 0; i != perPart / perRow; ++i) {
    Value *squares = &out[static_cast<size_t>(4 * groups)];
    Values low = loadInputs(k, 0, first, i * perRow, at, whole, squares[0]);
    Values high(4, zero);
    if (rowsOfX > 8)
      high = loadInputs(k, 1, first, i * perRow, at, whole, squares[1]);
    for (int64_t group = 0; group != groups; ++group) {
      const Values &weights = w[static_cast<size_t>(i * groups + group)];
      auto own =
          MutableArrayRef<Value>(out).slice(static_cast<size_t>(4 * group), 4);
      auto one = [&](Value packed) { return k.asInt(packed); };
      for (size_t j = 0; j != 4; j += 2) {
        Accumulator sums;
        llvm::transform(own, sums.begin(),
                        [&](Value sum) { return k.asFloat(sum); });
        llvm::copy(multiplyAdd(k, params.element,
                               {one(low[j]), one(high[j]), one(low[j + 1]),
                                one(high[j + 1])},
                               {one(weights[j]), one(weights[j + 1])}, sums),
                   own.begin());
      }
    }
  }
  return out;
}

Values SmallLinear::loadInputs(DeviceBuilder &k, size_t row, Int first,
                               int64_t i, Int at, bool whole, Value &squares) {
  if (params.partial) {
    auto read = [&] {
      return loadEightOfPartial(
          k, params, k.at(ownX[row], k.widen(first) + i, params.partial));
    };
    return whole
               ? read()
               : k.choose(at + i < params.inputs,
                          SmallVector<Type>(perThread / 2, k.i32()), read,
                          [&] { return Values(perThread / 2, k.integer(0)); });
  }
  Values eight = loadEight(k, k.at(ownX[row], k.widen(first), params.element),
                           i, at, whole, /*streamed=*/false);
  if (!params.normEpsilon)
    return eight;
  Float sum = k.asFloat(squares);
  for (Value pair : eight) {
    auto [low, high] = k.unpack(k.asInt(pair), params.element);
    sum = k.fma(high, high, k.fma(low, low, sum));
  }
  squares = sum;
  return eight;
}

/// A row of x and one of the block's rows of w, over all of K.
Float SmallLinear::sumOfWarps(DeviceBuilder &k, Int row, Int column) {
  Int at = shared + (row * pitch + column) * 4;
  Float sum = k.asFloat(k.loadShared(k.f32(), at));
  for (int64_t warp = 1; warp != warps; ++warp)
    sum = sum + k.asFloat(k.loadShared(k.f32(), at + warp * warpBytes()));
  return sum;
}

/// The same with the norm's factor and bias.
Float SmallLinear::total(DeviceBuilder &k, Int row, Int column) {
  Float sum = sumOfWarps(k, row, column);
  if (params.normEpsilon) {
    Float squares = sumOfWarps(k, row, k.integer(squaresColumn()));
    Float mean = squares * (1.0 / static_cast<double>(params.inputs));
    sum = sum * k.reciprocalSqrt(mean + *params.normEpsilon);
  }
  return params.bias ? sum + k.loadFloat(operands.bias, firstWeight + column,
                                         /*constant=*/true)
                     : sum;
}

void SmallLinear::waitWithAngles(DeviceBuilder &k) {
  if (params.rotation) {
    int64_t head = params.rotation->headSize;
    Int at = position * head + firstWeight % head + k.thread() % perMma;
    cosine = k.loadFloat(operands.angles, at, /*constant=*/true);
    sine = k.loadFloat(operands.angles, at + apart, /*constant=*/true);
  }
  k.waitForEarlierKernels();
}

Float SmallLinear::rotate(DeviceBuilder &k, Float own, Int row, Int inColumns,
                          Int column) {
  Float turned = total(k, row, inColumns ^ perMma) * sine;
  Float rotated =
      k.fma(own, cosine, k.select(inColumns < perMma, -turned, turned));
  return k.select(column < params.rotation->heads * params.rotation->headSize,
                  rotated, own);
}

void SmallLinear::finish(DeviceBuilder &k) {
  int64_t fold = params.gated ? 2 : 1;
  int64_t perBlock = weightRows() / fold;
  Int firstColumn = firstWeight / fold;
  auto each = [&](Int i) {
    Int inRows = i / perBlock, inColumns = i % perBlock;
    Int row = firstRow + inRows, column = firstColumn + inColumns;
    if (params.rotation)
      column = firstColumn + inColumns % perMma + inColumns / perMma * apart;
    k.when((row < operands.rows) & (column < params.weightRows() / fold), [&] {
      std::optional<Float> up;
      if (params.gated)
        up = total(k, inRows, inColumns + perMma);
      Float value =
          activateGated(k, params.activation, total(k, inRows, inColumns), up);
      if (params.rotation)
        value = rotate(k, value, inRows, inColumns, column);
      int64_t begin = 0;
      for (auto [o, resultWidth] : llvm::enumerate(params.outputs)) {
        Bool inside = (column < begin + resultWidth) & (column > begin - 1);
        k.when(inside, [&] {
          Long to = k.widen(row) * resultWidth + k.widen(column - begin);
          Float last = value;
          if (params.residual)
            last = last + loadElements(k, k.asGlobal(operands.residual), to,
                                       params.element, 1)[0];
          storeElements(k, {last}, k.asGlobal(operands.results[o]), to,
                        params.result);
        });
        begin += resultWidth;
      }
    });
  };
  k.loop(k.thread(), k.integer(rowsOfX * perBlock), k.integer(32 * warps),
         each);
}

SymbolRefAttr KernelLibrary::smallLinear(const std::string &name,
                                         const LinearParams &params,
                                         const LinearSchedule &schedule) {
  SmallLinear kernel(params, schedule);
  Launch launch;
  launch.threads = 32 * warps;
  launch.shared = kernel.sharedBytes();
  launch.blocks = kernel.blocks();
  launch.together = 2;
  launch.overlap = Overlap::AtOnce;
  launch.waits = true;
  launch.grid = {blocksOf(0, schedule.tileRows)};
  launch.parameters = {pointer(LinearOperands::input(params))};
  for (int64_t i = 1; i != LinearOperands::arguments(params); ++i)
    launch.parameters.push_back(pointer(i));
  if (params.partial)
    launch.parameters.push_back(pointer(LinearOperands::input(params) + 1));
  launch.parameters.push_back(rows(0));
  return define(name, launch, [&](DeviceBuilder &k, ValueRange parameters) {
    kernel.build(k, parameters);
  });
}

} // namespace rshard::cuda
