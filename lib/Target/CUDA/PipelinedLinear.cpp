//===- PipelinedLinear.cpp - matrix products for many rows ----------------===//
//
// One warp's thread copies tiles of x and w, 64 values of K at a time, into a
// ring of stages; two warpgroups multiply them. Blocks stay and take every n-th
// tile of the result. Each warpgroup has its own tile: while one multiplies,
// the other finishes, and named barriers keep their products in turn.
//
//===----------------------------------------------------------------------===//

#include "LinearEpilogue.h"
#include "TileOrder.h"
#include "Wgmma.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace rshard::cuda {

namespace {

constexpr int64_t consumers = 2; // warpgroups
constexpr int64_t warps = 4 * consumers;
constexpr int64_t threads = 128 * (1 + consumers);

class PipelinedLinear {
public:
  PipelinedLinear(const LinearParams &params, const LinearSchedule &schedule)
      : params(params), schedule(schedule), epilogue(params, schedule),
        blocksOfRows(epilogue.getShape().blocks),
        steps((params.inputs + tileDepth - 1) / tileDepth),
        order{(params.weightRows() + schedule.tileColumns - 1) /
                  schedule.tileColumns,
              schedule.bandRows, schedule.stripColumns} {
    ring.reserveStages(layout);
    epilogue.reserve(layout, warps);
    ring.reserveBarriers(layout);
  }

  int64_t sharedBytes() const { return layout.getSize(); }
  int64_t columnsOfTiles() const { return order.columns; }
  const InputTile &inputs() const { return ring.inputs(); }
  const PanelShape &panels() const { return epilogue.getShape(); }

  void build(DeviceBuilder &k, ValueRange parameters);

private:
  /// Rows of w for which a warpgroup accumulates.
  int64_t accumulatorsPerBlock() const { return schedule.tileColumns / 2; }
  Stage firstStage(DeviceBuilder &k) { return {k.integer(0), k.integer(0)}; }

  void produce(DeviceBuilder &k);
  void consume(DeviceBuilder &k);
  Values multiplyTile(DeviceBuilder &k, Stage &stage, Int turn);
  /// The tile's first row and column, of w's rows.
  TileOrder::Place<Int> origin(Int tile) {
    auto place = order.at(tile, tileRows);
    return {place.row * schedule.tileRows, place.column * schedule.tileColumns};
  }

  const LinearParams &params;
  const LinearSchedule &schedule;
  OperandRing ring{params, schedule, /*boxRows=*/64};
  LinearEpilogue epilogue;
  int64_t blocksOfRows, steps;
  TileOrder order;
  SharedLayout layout;

  LinearOperands operands;
  Int shared, tileRows, tiles;
};

} // namespace

void PipelinedLinear::build(DeviceBuilder &k, ValueRange parameters) {
  operands = LinearOperands(k, params, parameters);
  shared = k.sharedMemory();
  ring.prepare(shared, operands);
  tileRows = k.ceilDiv(operands.rows, schedule.tileRows);
  tiles = tileRows * order.columns;
  k.when(k.thread() == 0, [&] {
    ring.initialise(k, /*releases=*/4); // the warps of one warpgroup
    epilogue.initialise(k, shared, warps);
    fenceBarrierInit(k);
  });
  k.syncBlock();
  k.when(k.warp() < 4, [&] { produce(k); }, [&] { consume(k); });
}

void PipelinedLinear::produce(DeviceBuilder &k) {
  setRegisters(k, 40, /*increase=*/false);
  k.when((k.warp() == 0) & k.elect(), [&] {
    // No kernel writes w: of the first tile as much of it as there are stages
    // is on its way before the earlier kernels have ended.
    Stage start = firstStage(k);
    auto [firstRow, firstColumn] = origin(k.block());
    Int firstBoxes = ring.inputs().boxes(operands.rows - firstRow);
    int64_t early = std::min(schedule.stages, steps);
    auto eachEarly = [&](function_ref<void(Stage, Int)> copy) {
      k.loop(k.integer(0), k.integer(early), k.integer(1),
             [&](Int step) { copy({step, start.phase}, step); });
    };
    eachEarly([&](Stage stage, Int step) {
      ring.copyWeights(k, stage.index, step, firstColumn, firstBoxes);
    });
    k.waitForEarlierKernels();
    eachEarly([&](Stage stage, Int step) {
      ring.copyInputs(k, stage.index, step, firstRow, firstBoxes);
    });
    start = start.skip(early, schedule.stages);
    k.loopWhile(
        {k.block(), start.index, start.phase, k.integer(early)},
        [&](ValueRange in) { return k.asInt(in[0]) < tiles; },
        [&](ValueRange in) {
          Int tile = k.asInt(in[0]);
          auto [row, column] = origin(tile);
          Int boxes = ring.inputs().boxes(operands.rows - row);
          Values stage = k.loop(
              k.asInt(in[3]), k.integer(steps), k.integer(1), {in[1], in[2]},
              [&](Int step, ValueRange carried) -> Values {
                Stage stage{k.asInt(carried[0]), k.asInt(carried[1])};
                waitBarrier(k, ring.empty(stage.index), stage.phase ^ 1);
                ring.copyWeights(k, stage.index, step, column, boxes);
                ring.copyInputs(k, stage.index, step, row, boxes);
                Stage after = stage.next(schedule.stages);
                return {after.index, after.phase};
              });
          return Values{tile + k.blocks(), stage[0], stage[1], k.integer(0)};
        });
  });
}

/// All products of a tile; `stage` moves behind its stages.
Values PipelinedLinear::multiplyTile(DeviceBuilder &k, Stage &stage, Int turn) {
  Products products;
  products.columns = schedule.tileColumns;
  products.element = params.element;
  for (int64_t i = 0; i != tileDepth / 16; ++i)
    for (int64_t block = 0; block != blocksOfRows; ++block)
      products.steps.push_back({/*a=*/2 * i + block * (64 * 128 / 16),
                                /*b=*/2 * i, block * accumulatorsPerBlock()});
  Long a = describeOperand(k, ring.firstInputs());
  Long b = describeOperand(k, ring.firstWeights());
  OperandRing::InFlight done =
      ring.multiply(k, products, a, b, stage, k.integer(0), k.integer(steps),
                    blocksOfRows * accumulatorsPerBlock());
  k.arriveNamed(k.integer(2) - turn, 256); // the other one's turn
  stage = done.next;
  Values accumulators = waitProducts(k, 0, done.sums);
  ring.release(k, done.last);
  return accumulators;
}

void PipelinedLinear::consume(DeviceBuilder &k) {
  setRegisters(k, 232, /*increase=*/true);
  k.waitForEarlierKernels();
  Int warp = k.warp() - 4, turn = warp >> 2;
  epilogue.prepare(k, operands, shared, warp);
  Int rowInTile = (warp & 3) * 16;

  Int tile = k.block() + k.blocks() * turn;
  Stage stage = firstStage(k), behind = stage.skip(steps, schedule.stages);
  Bool other = turn == 1;
  stage = {k.select(other, behind.index, stage.index),
           k.select(other, behind.phase, stage.phase)};
  // Barrier 1 + turn says that it is this warpgroup's turn. Without the turns a
  // warpgroup could wait for a stage more than one phase ahead, and would take
  // the parity of an older one for it.
  k.when(other, [&] { k.arriveNamed(k.integer(1), 256); });
  k.loopWhile(
      {tile, stage.index, stage.phase},
      [&](ValueRange in) { return k.asInt(in[0]) < tiles; },
      [&](ValueRange in) {
        Int tile = k.asInt(in[0]);
        Stage stage{k.asInt(in[1]), k.asInt(in[2])};
        auto [row, column] = origin(tile);
        epilogue.begin(k, row + rowInTile, column);
        k.syncNamed(turn + 1, 256);
        Values accumulators = multiplyTile(k, stage, turn);
        epilogue.finish(k, accumulators);
        stage = stage.skip(steps, schedule.stages);
        return Values{tile + k.blocks() * 2, stage.index, stage.phase};
      });
  epilogue.drain(k);
}

SymbolRefAttr KernelLibrary::pipelinedLinear(const std::string &name,
                                             const LinearParams &params,
                                             const LinearSchedule &schedule) {
  PipelinedLinear kernel(params, schedule);
  const PanelShape &panels = kernel.panels();
  Launch launch;
  launch.threads = threads;
  launch.shared = kernel.sharedBytes();
  launch.blocks = kernel.columnsOfTiles();
  launch.resident = 1;
  launch.overlap = Overlap::AtTheEnd;
  launch.waits = true;
  launch.grid = {blocksOf(0, schedule.tileRows)};
  launch.parameters = {
      kernel.inputs().map(params, LinearOperands::input(params)),
      weightMap(params, 1, schedule.tileColumns)};
  int64_t argument = 2;
  if (params.bias)
    launch.parameters.push_back(pointer(argument++));
  auto panelsOf = [&](int64_t width) {
    if (!panels.copied)
      return pointer(argument);
    return Attribute(
        matrixMap(params.result, argument, width, /*rows=*/std::nullopt,
                  {panels.columns, PanelShape::rows}, panels.rowBytes));
  };
  if (params.residual) {
    launch.parameters.push_back(panelsOf(params.outputs.front()));
    ++argument;
  }
  if (params.rotation)
    for (int64_t i = 0; i != 2; ++i)
      launch.parameters.push_back(pointer(argument++));
  for (int64_t width : params.outputs) {
    launch.parameters.push_back(panelsOf(width));
    ++argument;
  }
  if (params.factorsGiven)
    launch.parameters.push_back(
        pointer(LinearOperands::argumentOfFactors(params)));
  if (params.sumsSquares)
    launch.parameters.push_back(
        pointer(LinearOperands::argumentOfSquares(params)));
  launch.parameters.push_back(rows(0));
  return define(name, launch, [&](DeviceBuilder &k, ValueRange parameters) {
    kernel.build(k, parameters);
  });
}

} // namespace rshard::cuda
