//===- PartialAttentionCompute.cpp - what a warpgroup computes ------------===//

#include "PartialAttention.h"
#include "llvm/ADT/STLExtras.h"
#include <cmath>

using namespace mlir;

namespace rshard::cuda {

/// Combines in four independent chains.
static Float reduce(ArrayRef<Float> values,
                    function_ref<Float(Float, Float)> combine) {
  SmallVector<Float> chains(values.take_front(4));
  for (auto [i, value] : llvm::enumerate(values.drop_front(chains.size())))
    chains[i % 4] = combine(chains[i % 4], value);
  while (chains.size() > 1) {
    SmallVector<Float> half;
    for (size_t i = 0; i + 1 < chains.size(); i += 2)
      half.push_back(combine(chains[i], chains[i + 1]));
    chains = half;
  }
  return chains.front();
}

SmallVector<Float> PartialAttention::mask(const Tile &tile, Int tileOfKeys,
                                          ArrayRef<Float> scores) {
  // This thread has the columns `column` + 8 j + {0, 1} of a row: bit 2 j + e
  // of a word for every 128 columns says that it is seen.
  Int start = tileOfKeys * tiling.keys + column;
  auto below = [&](Int limit, int64_t word) {
    Int relative = limit - start - 128 * word;
    relative = k.min(k.max(relative, k.integer(0)), k.integer(128));
    Int count = ((relative >> 3) << 1) + k.min(relative & 7, k.integer(2));
    return k.select(count == 32, k.integer(-1), (k.integer(1) << count) - 1);
  };
  Float nothing = k.constant(-INFINITY);
  SmallVector<Float> out(scores);
  for (int64_t word = 0; word * 128 < tiling.keys; ++word)
    for (int64_t r = 0; r != 2; ++r) {
      Int seen = below(tile.last[r], word) & (below(tile.first[r], word) ^ -1);
      int64_t bits = std::min<int64_t>(tiling.keys / 4 - 32 * word, 32);
      for (int64_t bit = 0; bit != bits; ++bit) {
        int64_t element = 32 * word + bit;
        Float &score =
            out[static_cast<size_t>(4 * (element / 2) + 2 * r + element % 2)];
        score = k.selectByBit(seen, bit, score, nothing);
      }
    }
  return out;
}

PartialAttention::Exponentials
PartialAttention::exponentials(ArrayRef<Float> scores, const RowState *before,
                               bool masked) {
  Exponentials out;
  out.values.assign(scores.begin(), scores.end());
  auto ofRow = [&](int64_t r) {
    SmallVector<Float> row;
    for (size_t j = 0; j != out.values.size() / 4; ++j)
      for (size_t e = 0; e != 2; ++e)
        row.push_back(out.values[4 * j + 2 * static_cast<size_t>(r) + e]);
    return row;
  };
  auto greater = [&](Float a, Float b) { return k.max(a, b); };
  for (int64_t r = 0; r != 2; ++r) {
    Float most = reduce(ofRow(r), greater);
    most = k.max(most, k.shuffleXor(most, 1));
    most = k.max(most, k.shuffleXor(most, 2));
    out.state.most[r] = before ? k.max(most, before->most[r]) : most;
  }
  Float factor = k.constant(units.base2);
  for (int64_t r = 0; r != 2; ++r) {
    Float most = out.state.most[r] * factor;
    if (masked) // a row that has seen nothing: exp(-inf - 0) and not NaN
      most = k.select(out.state.most[r] == k.constant(-INFINITY), k.constant(0),
                      most);
    Float shift = -most;
    if (before)
      out.rescale[r] = k.exp2(k.fma(before->most[r], factor, shift));
    for (size_t j = 0; j != out.values.size() / 4; ++j)
      for (size_t e = 0; e != 2; ++e) {
        Float &value = out.values[4 * j + 2 * static_cast<size_t>(r) + e];
        value = k.exp2(k.fma(value, factor, shift));
      }
    Float sum = reduce(ofRow(r), [](Float a, Float b) { return a + b; });
    out.state.sum[r] =
        before ? k.fma(before->sum[r], out.rescale[r], sum) : sum;
  }
  return out;
}

Values PartialAttention::pack(ArrayRef<Float> values) {
  Values packed;
  for (size_t i = 0; i != values.size(); i += 2)
    packed.push_back(k.pack(values[i], values[i + 1], params.element));
  return packed;
}

/// Takes part in the turns of the tensor cores without using them.
void PartialAttention::skip(Int from, Int to) {
  k.loop(from, to, k.integer(1), [&](Int step) {
    Stage stage = stageOf(step);
    waitBarrier(k, barrier(shape.keysFull, stage.index), stage.phase);
    k.syncNamed(turn, 2 * Shape::warpgroupThreads);
    k.arriveNamed(nextTurn, 2 * Shape::warpgroupThreads);
    arriveOnce(barrier(shape.keysEmpty, stage.index));
    waitBarrier(k, barrier(shape.valuesFull, stage.index), stage.phase);
    arriveOnce(barrier(shape.valuesEmpty, stage.index));
  });
}

/// O, the greatest scores and the sums of the tiles of keys that the warpgroup
/// sees, of which there is at least one.
Values PartialAttention::attend(const Tile &tile, Int maskedTiles,
                                Int unmaskedTiles) {
  auto waitKeys = [&](Int i) {
    Stage stage = stageOf(tile.steps + i);
    waitBarrier(k, barrier(shape.keysFull, stage.index), stage.phase);
    return stage.index;
  };
  auto waitValues = [&](Int i) {
    Stage stage = stageOf(tile.steps + i);
    waitBarrier(k, barrier(shape.valuesFull, stage.index), stage.phase);
    return stage.index;
  };
  auto at = [&](Long start, Int stage) {
    return advance(start, stage * shape.tileBytes);
  };
  auto scoresOf = [&](ValueRange products) {
    return llvm::map_to_vector(products, [&](Value product) {
      return scoreOf(k, params, k.asFloat(product));
    });
  };
  Int zero = k.integer(0), one = k.integer(1);

  Int stage = waitKeys(zero);
  k.syncNamed(turn, 2 * Shape::warpgroupThreads);
  Values inFlight = multiply(k, scores, tile.queriesAt, at(keysAt, stage));
  k.arriveNamed(nextTurn, 2 * Shape::warpgroupThreads);
  SmallVector<Float> score = scoresOf(waitProducts(k, 0, inFlight));
  arriveOnce(barrier(shape.keysEmpty, stage));
  Exponentials start = exponentials(mask(tile, tile.top, score), nullptr,
                                    /*masked=*/true);

  size_t outputs = static_cast<size_t>(shape.headSize / 2);
  size_t fragments = static_cast<size_t>(tiling.keys / 4);
  Values state(outputs, k.constant(0));
  llvm::append_range(state, pack(start.values));
  llvm::append_range(state, start.state.most);
  llvm::append_range(state, start.state.sum);

  auto body = [&](bool masked) {
    return [&, masked](Int i, ValueRange carried) {
      ValueRange sums = carried.take_front(outputs);
      ValueRange weights = carried.slice(outputs, fragments);
      ValueRange rest = carried.drop_front(outputs + fragments);
      RowState before{{k.asFloat(rest[0]), k.asFloat(rest[1])},
                      {k.asFloat(rest[2]), k.asFloat(rest[3])}};
      Int keyStage = waitKeys(i);
      k.syncNamed(turn, 2 * Shape::warpgroupThreads);
      Values inFlight =
          multiply(k, scores, tile.queriesAt, at(keysAt, keyStage));
      Int valueStage = waitValues(i - 1);
      Values output = multiplyRegisters(k, weighted, weights,
                                        at(valuesAt, valueStage), sums);
      k.arriveNamed(nextTurn, 2 * Shape::warpgroupThreads);
      SmallVector<Float> score = scoresOf(waitProducts(k, 1, inFlight));
      if (masked)
        score = mask(tile, tile.top - i, score);
      Exponentials next = exponentials(score, &before, masked);
      // The assembler would move the wait below above the exponentials: that
      // the keys are given back depends on them keeps it behind them. (True for
      // NaN, so that the producer never waits for ever.)
      k.when(lane0 & notLess(next.state.sum[0], k.constant(0)),
             [&] { arrive(k, barrier(shape.keysEmpty, keyStage)); });
      output = waitProducts(k, 0, output, weights);
      arriveOnce(barrier(shape.valuesEmpty, valueStage));
      Values packed = pack(next.values);
      for (auto [index, value] : llvm::enumerate(output))
        value = k.asFloat(value) * next.rescale[index / 2 % 2];
      llvm::append_range(output, packed);
      llvm::append_range(output, next.state.most);
      llvm::append_range(output, next.state.sum);
      return output;
    };
  };
  state = k.loop(one, maskedTiles, one, state, body(true));
  state =
      k.loop(k.max(maskedTiles, one), unmaskedTiles, one, state, body(false));
  state = k.loop(k.max(unmaskedTiles, one), tile.seen, one, state, body(true));

  Int valueStage = waitValues(tile.seen - 1);
  ValueRange carried = state;
  ValueRange weights = carried.slice(outputs, fragments);
  Values output =
      multiplyRegisters(k, weighted, weights, at(valuesAt, valueStage),
                        carried.take_front(outputs));
  output = waitProducts(k, 0, output, weights);
  arriveOnce(barrier(shape.valuesEmpty, valueStage));
  llvm::append_range(output, carried.drop_front(outputs + fragments));
  return output;
}

void PartialAttention::compute(Tile tile, Int skippedTiles, Int allTiles,
                               Int maskedTiles, Int unmaskedTiles,
                               Int queryStage) {
  Int begin = tile.steps;
  skip(begin, begin + skippedTiles);
  tile.steps = begin + skippedTiles;
  tile.top = tile.top - skippedTiles;
  size_t outputs = static_cast<size_t>(shape.headSize / 2);
  Values attended = k.choose(
      tile.seen > 0, SmallVector<Type>(outputs + 4, k.f32()),
      [&] { return attend(tile, maskedTiles, unmaskedTiles); },
      [&] {
        Values none(outputs + 4, k.constant(0));
        none[outputs] = none[outputs + 1] = k.constant(-INFINITY);
        return none;
      });
  skip(tile.steps + tile.seen, begin + allTiles);
  finish(tile, attended, queryStage);
}

void PartialAttention::consume() {
  warpgroup = (warp >> 2) - 1;
  warpOfGroup = warp & 3;
  column = (lane & 3) << 1;
  queriesBase = shared(shape.queries) +
                warpgroup * (shape.queryBytes / tiling.warpgroups);
  queriesAt = describeOperand(k, queriesBase);
  keysAt = describeOperand(k, shared(shape.keys));
  valuesAt =
      describeOperand(k, shared(shape.values), tiling.keys * Shape::rowBytes);
  turn = warpgroup + 1;
  nextTurn =
      k.select(warpgroup == tiling.warpgroups - 1, k.integer(1), warpgroup + 2);
  k.when(warpgroup == 0,
         [&] { k.arriveNamed(turn, 2 * Shape::warpgroupThreads); });
  k.loopWhile(
      {k.integer(0), k.integer(0)},
      [&](ValueRange carried) {
        waitBarrier(k, shared(shape.tileFull), k.asInt(carried[0]) & 1);
        return word(valid) != 0;
      },
      [&](ValueRange carried) {
        Int round = k.asInt(carried[0]), step = k.asInt(carried[1]);
        Tile tile;
        // Uniform numbers keep descriptors in uniform registers.
        Int count = k.uniform(word(tiles));
        tile.top = word(top);
        tile.row = word(firstRow) + warpgroup * Shape::warpgroupRows;
        tile.head = word(head);
        Int own =
            shared(shape.tile + 4 * ofWarpgroup) + warpgroup * (4 * wordsEach);
        auto ownWord = [&](int64_t index) {
          return k.uniform(k.asInt(k.loadShared(k.i32(), own + 4 * index)));
        };
        Int skippedTiles = ownWord(skipped), maskedTiles = ownWord(masked);
        Int unmaskedTiles = ownWord(unmaskedEnd);
        tile.seen = ownWord(seen);
        arrive(k, shared(shape.tileEmpty));

        Int index = tiling.queryStages == 1 ? k.integer(0) : round & 1;
        Int phase = tiling.queryStages == 1 ? round & 1 : (round >> 1) & 1;
        Int stage = index * shape.queryBytes;
        tile.queries = queriesBase + stage;
        tile.queriesAt = advance(queriesAt, stage);
        tile.steps = step;
        for (int64_t r = 0; r != 2; ++r) {
          Int row = k.min(tile.row + warpOfGroup * 16 + (lane >> 2) + 8 * r,
                          rows - 1);
          tile.first[r] = k.loadInt(first, row);
          tile.last[r] = k.loadInt(last, row);
        }
        waitBarrier(k, barrier(shape.queriesFull, index), phase);
        compute(tile, skippedTiles, count, maskedTiles, unmaskedTiles, index);
        return Values{round + 1, step + count};
      });
  k.when(lane0, [&] { waitCopies(k, 0); });
}

} // namespace rshard::cuda
