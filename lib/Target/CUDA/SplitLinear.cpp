//===- SplitLinear.cpp - matrix products of a few dozen rows --------------===//
//
// Between the few rows that cost nothing beside reading w and the many that
// fill tiles of 128, w is still most of what moves, and all multiprocessors
// should read it. So w is the wide operand: a block multiplies 128 of its rows
// with all rows of x, which are the columns of the tensor cores' products.
// Where that is too few blocks, K is split over those of a cluster, whose sums
// meet in shared memory, one part after the other: a row's bits depend neither
// on the other rows nor on their number.
//
// One warp copies tiles of w and x, 64 values of K at a time, into a ring of
// stages; two warpgroups multiply 64 rows of w each. The first tiles of w are
// asked for before the earlier kernels have ended. The sums leave as a matrix
// of f32 where the ring was, w's rows next to each other, and a thread finishes
// four neighbours at a time, whichever part of the cluster has taken them.
//
//===----------------------------------------------------------------------===//

#include "Activate.h"
#include "ComputeCapability.h"
#include "LinearOperands.h"
#include "RowElements.h"
#include "Wgmma.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>
#include <array>

using namespace mlir;

namespace rshard::cuda {

namespace {

constexpr int64_t consumers = 2; // warpgroups
constexpr int64_t multiplying = 128 * consumers;
constexpr int64_t threads = multiplying + 32;
constexpr int64_t quad = 4;      // neighbouring sums that a thread finishes
constexpr int64_t mostParts = 8; // blocks of a cluster, everywhere
/// Rows of sums are 4 banks further each: what a warp stores at once, 8
/// neighbours of every second of 8 rows, is in 32 different ones.
constexpr int64_t padding = 4;

class SplitLinear {
public:
  SplitLinear(const LinearParams &params, const LinearSchedule &schedule)
      : params(params), schedule(schedule),
        steps((params.inputs + tileDepth - 1) / tileDepth),
        tiles((params.weightRows() + schedule.tileColumns - 1) /
              schedule.tileColumns),
        pitch(schedule.tileColumns + padding) {
    ring.reserveStages(layout, /*least=*/schedule.tileRows * pitch * 4);
    ring.reserveBarriers(layout);
    // Blocks of a cluster need neighbouring multiprocessors: not every place on
    // the device can be had.
    int64_t places = multiprocessors * together() * 3 / 4;
    parts = std::clamp<int64_t>(places / tiles, 1, std::min(mostParts, steps));
  }

  int64_t sharedBytes() const { return layout.getSize(); }
  const InputTile &inputs() const { return ring.inputs(); }
  int64_t blocks() const { return tiles * parts; }
  int64_t cluster() const { return parts; }
  /// Blocks that share a multiprocessor: for more than two there would be too
  /// few registers.
  int64_t together() const { return 2 * sharedBytes() <= maxShared ? 2 : 1; }
  void build(DeviceBuilder &k, ValueRange parameters);

private:
  void produce(DeviceBuilder &k);
  /// This warpgroup's sums, left in shared memory.
  void multiply(DeviceBuilder &k);

  /// Where the sum of a row of x and a column of the tile is left.
  Int sumsAt(Int row, Int column) const {
    return ring.firstInputs() + (row * pitch + column) * 4;
  }
  using Quad = std::array<Float, quad>;
  void finish(DeviceBuilder &k);
  /// Of a row of x, four sums over all parts with their bias, from `column` of
  /// the tile on.
  Quad total(DeviceBuilder &k, Int row, Int column);
  /// Turns four columns of the first half of a head, from `column` on, and
  /// those of the second.
  void rotate(DeviceBuilder &k, Int row, Int column, Quad &first, Quad &second);
  void store(DeviceBuilder &k, Int row, Int column, const Quad &values);

  const LinearParams &params;
  const LinearSchedule &schedule;
  OperandRing ring{params, schedule, /*boxRows=*/32};
  int64_t steps, tiles, pitch, parts = 1;
  SharedLayout layout;

  LinearOperands operands;
  Int part, firstRow, firstWeight, firstStep, lastStep;
  Int boxes; ///< of x
};

} // namespace

bool canSplit(const LinearParams &params) {
  auto whole = [](int64_t width) { return width % quad == 0; };
  return params.inputs % 8 == 0 && whole(params.weightRows()) &&
         llvm::all_of(params.outputs, whole) &&
         (!params.rotation || rotatesHeads(params, rotatedBoxRows));
}

void SplitLinear::build(DeviceBuilder &k, ValueRange parameters) {
  operands = LinearOperands(k, params, parameters);
  Int rows = operands.rows;
  ring.prepare(k.sharedMemory(), operands);
  // The parts of a tile are a cluster; tiles of the same rows of w follow one
  // another.
  Int tile = k.block() / parts, rowTiles = k.ceilDiv(rows, schedule.tileRows);
  part = k.block() % parts;
  firstWeight = tile / rowTiles * schedule.tileColumns;
  firstRow = tile % rowTiles * schedule.tileRows;
  boxes = ring.inputs().boxes(rows - firstRow);
  firstStep = part * steps / parts;
  lastStep = (part + 1) * steps / parts;
  k.when(k.thread() == 0, [&] {
    ring.initialise(k, /*releases=*/4 * consumers); // every warp
    fenceBarrierInit(k);
  });
  k.syncBlock();
  k.when(
      k.warp() == multiplying / 32, [&] { produce(k); }, [&] { multiply(k); });
  if (parts == 1)
    k.syncBlock();
  else
    k.syncCluster();
  k.waitForEarlierKernels();
  finish(k);
  if (parts != 1)
    k.syncCluster(); // others may still read this block's sums
}

void SplitLinear::produce(DeviceBuilder &k) {
  k.when(k.elect(), [&] {
    // No kernel writes w.
    Int early = k.min(firstStep + schedule.stages, lastStep);
    auto eachEarly = [&](function_ref<void(Int, Int)> copy) {
      k.loop(firstStep, early, k.integer(1),
             [&](Int step) { copy(step - firstStep, step); });
    };
    eachEarly([&](Int stage, Int step) {
      ring.copyWeights(k, stage, step, firstWeight, boxes);
    });
    k.waitForEarlierKernels();
    eachEarly([&](Int stage, Int step) {
      ring.copyInputs(k, stage, step, firstRow, boxes);
    });
    // If there are more steps, all stages are in use, and the first is next.
    k.loop(early, lastStep, k.integer(1), {k.integer(0), k.integer(1)},
           [&](Int step, ValueRange carried) -> Values {
             Stage stage{k.asInt(carried[0]), k.asInt(carried[1])};
             waitBarrier(k, ring.empty(stage.index), stage.phase ^ 1);
             ring.copyWeights(k, stage.index, step, firstWeight, boxes);
             ring.copyInputs(k, stage.index, step, firstRow, boxes);
             Stage after = stage.next(schedule.stages);
             return {after.index, after.phase};
           });
  });
}

void SplitLinear::multiply(DeviceBuilder &k) {
  Products products;
  products.columns = schedule.tileRows;
  products.element = params.element;
  for (int64_t i = 0; i != tileDepth / 16; ++i)
    products.steps.push_back({/*a=*/2 * i, /*b=*/2 * i, /*accumulator=*/0});
  Int warpgroup = k.warp() >> 2;
  Long a = describeOperand(k, ring.firstWeights() + warpgroup * tileBytes(64));
  Long b = describeOperand(k, ring.firstInputs());
  OperandRing::InFlight done = ring.multiply(
      k, products, a, b, {k.integer(0), k.integer(0)}, firstStep, lastStep,
      /*sums=*/schedule.tileRows / 2);
  Values sums = waitProducts(k, 0, done.sums);
  // Nor does the other warpgroup read the ring any more.
  k.syncNamed(k.integer(1), multiplying);
  // Of 8 rows of x, two neighbours of rows of w lane / 4 and 8 more.
  Int row = (k.lane() & 3) * 2, column = k.warp() * 16 + (k.lane() >> 2);
  Int mine = sumsAt(row, column);
  for (auto [i, sum] : llvm::enumerate(sums)) {
    auto n = static_cast<int64_t>(i);
    int64_t inRows = n / 4 * 8 + n % 2, inColumns = n / 2 % 2 * 8;
    k.storeShared(sum, mine + (inRows * pitch + inColumns) * 4);
  }
}

void SplitLinear::finish(DeviceBuilder &k) {
  // A gate's up is 8 columns further; what a column is turned with, half a box.
  bool pairs = params.gated || params.rotation;
  int64_t apart = params.gated ? 8 : rotatedBoxRows / 2;
  int64_t perRow = schedule.tileColumns / quad / (pairs ? 2 : 1);
  auto each = [&](Int i) {
    Int row = i / perRow, column = i % perRow * quad;
    if (pairs)
      column = column / apart * (2 * apart) + column % apart;
    Int toRow = firstRow + row, weight = firstWeight + column;
    k.when(weight < params.weightRows(), [&] {
      Quad values = total(k, row, column);
      if (!pairs) {
        for (Float &value : values)
          value = activateGated(k, params.activation, value);
        store(k, toRow, weight, values);
        return;
      }
      Quad others = total(k, row, column + apart);
      if (params.gated) {
        for (auto [gate, up] : llvm::zip_equal(values, others))
          gate = activateGated(k, params.activation, gate, up);
        store(k, toRow, weight / (2 * apart) * apart + weight % apart, values);
        return;
      }
      // Boxes of a head have the columns of its halves in turn.
      int64_t head = params.rotation->headSize;
      Int inHead = weight % head / (2 * apart) * apart + weight % apart;
      Int to = weight / head * head + inHead;
      rotate(k, toRow, to, values, others);
      store(k, toRow, to, values);
      store(k, toRow, to + head / 2, others);
    });
  };
  Int here = k.min(operands.rows - firstRow, k.integer(schedule.tileRows));
  k.loop(part * threads + k.thread(), here * perRow, k.integer(parts * threads),
         each);
}

SplitLinear::Quad SplitLinear::total(DeviceBuilder &k, Int row, Int column) {
  Int at = sumsAt(row, column);
  Type type = VectorType::get({quad}, k.f32());
  SmallVector<Value> loaded;
  for (int64_t i = 0; i != parts; ++i)
    loaded.push_back(parts == 1 ? k.loadShared(type, at)
                                : k.loadCluster(type, at, k.integer(i)));
  Quad sums;
  for (auto [i, sum] : llvm::enumerate(sums)) {
    auto of = [&, i = static_cast<int64_t>(i)](Value part) {
      return k.asFloat(k.extract(part, i));
    };
    sum = of(loaded[0]);
    for (Value part : ArrayRef(loaded).drop_front())
      sum = sum + of(part);
  }
  if (params.bias)
    for (auto [sum, value] : llvm::zip_equal(
             sums, loadElements(k, operands.bias, k.widen(firstWeight + column),
                                k.f32(), quad, /*constant=*/true)))
      sum = sum + value;
  return sums;
}

void SplitLinear::rotate(DeviceBuilder &k, Int row, Int column, Quad &first,
                         Quad &second) {
  int64_t head = params.rotation->headSize;
  auto rotated = [&] {
    Int position = k.loadInt(operands.positions, row);
    Long at = k.widen(position) * head + k.widen(column % head);
    auto load = [&](int64_t offset) {
      return loadElements(k, operands.angles, at + offset, k.f32(), quad,
                          /*constant=*/true);
    };
    SmallVector<Float> cosines = load(0), sines = load(head / 2);
    Values out;
    for (auto [a, b, cosine, sine] :
         llvm::zip_equal(first, second, cosines, sines))
      out.push_back(k.fma(a, cosine, -(b * sine)));
    for (auto [a, b, cosine, sine] :
         llvm::zip_equal(first, second, cosines, sines))
      out.push_back(k.fma(b, cosine, a * sine));
    return out;
  };
  Values both = k.choose(column < params.rotation->heads * head,
                         SmallVector<Type>(2 * quad, k.f32()), rotated, [&] {
                           Values out(first.begin(), first.end());
                           out.append(second.begin(), second.end());
                           return out;
                         });
  for (size_t i = 0; i != quad; ++i) {
    first[i] = k.asFloat(both[i]);
    second[i] = k.asFloat(both[quad + i]);
  }
}

void SplitLinear::store(DeviceBuilder &k, Int row, Int column,
                        const Quad &values) {
  int64_t begin = 0;
  for (auto [i, width] : llvm::enumerate(params.outputs)) {
    k.when((column < begin + width) & (column > begin - 1), [&] {
      Long to = k.widen(row) * width + k.widen(column - begin);
      SmallVector<Float> out(values.begin(), values.end());
      if (params.residual)
        for (auto [value, more] :
             llvm::zip_equal(out, loadElements(k, k.asGlobal(operands.residual),
                                               to, params.element, quad)))
          value = value + more;
      storeElements(k, out, k.asGlobal(operands.results[i]), to, params.result);
    });
    begin += width;
  }
}

SymbolRefAttr KernelLibrary::splitLinear(const std::string &name,
                                         const LinearParams &params,
                                         const LinearSchedule &schedule) {
  SplitLinear kernel(params, schedule);
  Launch launch;
  launch.threads = threads;
  launch.shared = kernel.sharedBytes();
  launch.blocks = kernel.blocks();
  launch.cluster = kernel.cluster();
  launch.together = kernel.together();
  launch.overlap = Overlap::AtOnce;
  launch.waits = true;
  launch.grid = {blocksOf(0, schedule.tileRows)};
  launch.parameters = {kernel.inputs().map(params, 0),
                       weightMap(params, 1, schedule.tileColumns)};
  for (int64_t i = 2; i != LinearOperands::arguments(params); ++i)
    launch.parameters.push_back(pointer(i));
  launch.parameters.push_back(rows(0));
  return define(name, launch, [&](DeviceBuilder &k, ValueRange parameters) {
    kernel.build(k, parameters);
  });
}

} // namespace rshard::cuda
