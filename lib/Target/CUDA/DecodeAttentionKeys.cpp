//===- DecodeAttentionKeys.cpp - a warp and its share of the keys ---------===//

#include "DecodeAttention.h"
#include "WarpMma.h"
#include "llvm/ADT/STLExtras.h"
#include <array>

using namespace mlir;

namespace rshard::cuda {

/// The registers of an access of 16 bytes.
static void append(DeviceBuilder &k, Values &registers, Value access) {
  for (int64_t i = 0; i != 4; ++i)
    registers.push_back(k.extract(access, i));
}

DecodeAttention::Query DecodeAttention::queryOf(Int index) {
  Int ofRow = index / shape.headsPerBlock;
  Int inPart = index - ofRow * shape.headsPerBlock;
  Int inGroup = part * shape.headsPerBlock + inPart;
  Query query;
  query.row = row + ofRow;
  query.head = keyHead * shape.group + inGroup;
  query.exists = (query.row < rows) & (ofRow < shape.rowsPerBlock) &
                 (inGroup < shape.group);
  return query;
}

/// The right operands of K Q^T, and which keys this thread's queries see.
void DecodeAttention::loadQueries() {
  Type access = VectorType::get({4}, k.i32());
  for (int64_t tile = 0; tile != shape.tiles; ++tile) {
    Query query = queryOf(quad + 8 * tile);
    Int place = k.loadInt(source, k.min(query.row, rows - 1));
    Long at = k.widen(place) * (params.queryHeads * shape.headSize) +
              k.widen(query.head * shape.headSize + member * 8);
    for (int64_t chunk = 0; chunk != shape.chunks; ++chunk) {
      // Zeros behind the end of a head: what the keys have there is finite.
      Bool inHead = member * 8 < shape.headSize - 32 * chunk;
      for (Value value : k.choose(
               query.exists & inHead, SmallVector<Type>(4, k.i32()),
               [&] {
                 Values loaded;
                 append(k, loaded,
                        k.load(access,
                               k.at(queries, at + 32 * chunk, params.element)));
                 return loaded;
               },
               [&] { return Values(4, k.integer(0)); }))
        queryRegisters.push_back(k.asInt(value));
    }
    for (int64_t e = 0; e != 2; ++e) {
      Query own = queryOf(member * 2 + (8 * tile + e));
      Int ownRow = k.min(own.row, rows - 1);
      Int none = k.integer(0);
      exists.push_back(own.exists);
      seenFrom.push_back(k.loadInt(first, ownRow));
      seenTo.push_back(k.select(own.exists, k.loadInt(last, ownRow), none));
    }
  }
}

/// Accesses of 16 bytes to a row of keys or values, `stride` columns apart and
/// the first one at `column`. Behind the end of the head: column 0 again, whose
/// products come to nothing.
void DecodeAttention::loadRow(Values &registers, Global from, Int key,
                              Int column, int64_t stride, int64_t accesses) {
  // Behind the last key: that key again.
  Long row =
      k.widen(k.min(key, high - 1)) * (params.keyHeads * shape.headSize) +
      k.widen(keyHead * shape.headSize);
  Global start = k.at(from, row, params.element);
  Global at = k.at(start, k.widen(column), params.element);
  for (int64_t access = 0; access != accesses; ++access) {
    Global to = k.at(at, k.longInteger(stride * access), params.element);
    if (stride * (access + 1) > shape.headSize) {
      Int inHead = column + stride * access;
      inHead = k.select(inHead < shape.headSize, inHead, k.integer(0));
      to = k.at(start, k.widen(inHead), params.element);
    }
    append(k, registers, k.load(VectorType::get({4}, k.i32()), to));
  }
}

/// Left operands of K Q^T: of keys lane / 4 and + 8, in chunks of 32 columns of
/// which this thread has 8.
Values DecodeAttention::loadKeys(Int step) {
  Values registers;
  Int key = low + step * Shape::stepKeys + quad;
  for (int64_t half = 0; half != 2; ++half)
    loadRow(registers, keys, key + 8 * half, member * 8, 32, shape.chunks);
  return registers;
}

/// What left operands of V^T P^T are made of: of keys 2 (lane % 4), the next,
/// and + 8, in panels of 64 columns of which this thread has 8.
Values DecodeAttention::loadValues(Int step) {
  Values registers;
  Int key = low + step * Shape::stepKeys + member * 2;
  for (int64_t offset : {0, 1, 8, 9})
    loadRow(registers, values, key + offset, quad * 8, 64, shape.panels);
  return registers;
}

/// Takes the keys of a step into `state`: for every tile of queries the
/// greatest scores, the sums and the weighted values. Registers are filled with
/// the step `next` as soon as they have been used.
Values DecodeAttention::attendStep(Int step, Values &keyRegisters,
                                   Values &valueRegisters, ValueRange state,
                                   std::optional<Int> next) {
  auto number = [](int64_t index) { return static_cast<size_t>(index); };
  SmallVector<Accumulator> scores;
  for (int64_t tile = 0; tile != shape.tiles; ++tile) {
    // Two chains: a product waits for the one before.
    std::array<Accumulator, 2> chains;
    chains[0] = chains[1] = {zero, zero, zero, zero};
    for (int64_t chunk = 0; chunk != shape.chunks; ++chunk)
      for (int64_t half = 0; half != 2; ++half) {
        auto key = [&](int64_t ofHalf, int64_t index) {
          return k.asInt(keyRegisters[number(
              4 * (ofHalf * shape.chunks + chunk) + 2 * half + index)]);
        };
        size_t query = number(4 * (tile * shape.chunks + chunk) + 2 * half);
        chains[number(half)] = multiplyAdd(
            k, params.element, {key(0, 0), key(1, 0), key(0, 1), key(1, 1)},
            {queryRegisters[query], queryRegisters[query + 1]},
            chains[number(half)]);
      }
    Accumulator sum;
    for (size_t i = 0; i != 4; ++i)
      sum[i] = scoreOf(k, params, chains[0][i] + chains[1][i]);
    scores.push_back(sum);
  }
  if (next)
    keyRegisters = loadKeys(*next);

  Values out;
  SmallVector<std::array<Float, 2>> rescale;
  SmallVector<std::array<Int, 2>> weights;
  Int key = low + step * Shape::stepKeys + quad;
  for (int64_t tile = 0; tile != shape.tiles; ++tile) {
    Accumulator &score = scores[number(tile)];
    std::array<Float, 2> most, sum, factor;
    for (size_t e = 0; e != 2; ++e) {
      size_t query = number(2 * tile) + e;
      for (int64_t half = 0; half != 2; ++half) {
        Int seen = key + 8 * half;
        Float &value = score[number(2 * half) + e];
        value = k.select((seen < seenTo[query]) & (seenFrom[query] <= seen),
                         value, nothing);
      }
      Float before = k.asFloat(state[4 * number(tile) + e]);
      Float top = k.max(score[e], score[2 + e]);
      for (int64_t mask : {4, 8, 16})
        top = k.max(top, k.shuffleXor(top, mask));
      top = k.max(top, before);
      // A query that has seen nothing: exp(-inf - 0) and not NaN.
      Float shift = k.select(top == nothing, zero, top * units.base2);
      for (size_t half = 0; half != 2; ++half) {
        Float &value = score[2 * half + e];
        value = k.exp2(k.fma(value, k.constant(units.base2), -shift));
      }
      factor[e] = k.exp2(k.fma(before, k.constant(units.base2), -shift));
      most[e] = top;
      sum[e] = k.fma(k.asFloat(state[4 * number(tile) + 2 + e]), factor[e],
                     score[e] + score[2 + e]);
    }
    llvm::append_range(out, most);
    llvm::append_range(out, sum);
    rescale.push_back(factor);
    weights.push_back(
        {transposeMatrix(k, k.pack(score[0], score[1], params.element)),
         transposeMatrix(k, k.pack(score[2], score[3], params.element))});
  }

  size_t at = number(4 * shape.tiles);
  for (int64_t panel = 0; panel != shape.panels; ++panel)
    for (int64_t pair = 0; pair != 4; ++pair) {
      // Columns 2 pair and 2 pair + 1 of this thread's 8: rows lane / 4 and + 8
      // of the left operand.
      auto value = [&](int64_t ofKey) {
        return k.asInt(
            valueRegisters[number(4 * (ofKey * shape.panels + panel) + pair)]);
      };
      std::array<Int, 4> operand = {k.permuteBytes(value(0), value(1), 0x5410),
                                    k.permuteBytes(value(0), value(1), 0x7632),
                                    k.permuteBytes(value(2), value(3), 0x5410),
                                    k.permuteBytes(value(2), value(3), 0x7632)};
      for (int64_t tile = 0; tile != shape.tiles; ++tile) {
        Accumulator sums;
        for (size_t i = 0; i != 4; ++i)
          sums[i] = k.asFloat(state[at + i]) * rescale[number(tile)][i % 2];
        sums = multiplyAdd(k, params.element, operand, weights[number(tile)],
                           sums);
        llvm::append_range(out, sums);
        at += 4;
      }
    }
  if (next)
    valueRegisters = loadValues(*next);
  return out;
}

Values DecodeAttention::attend() {
  size_t sums = static_cast<size_t>(16 * shape.panels * shape.tiles);
  Values start;
  for (int64_t tile = 0; tile != shape.tiles; ++tile)
    start.append({nothing, nothing, zero, zero});
  start.append(sums, zero);
  Int one = k.integer(1);
  // Registers for what comes next are left where heads are not wide.
  if (shape.headSize > Shape::narrow)
    return k.loop(k.integer(0), steps, one, start,
                  [&](Int i, ValueRange state) {
                    Int step = firstStep + i * stride;
                    Values keyRegisters = loadKeys(step);
                    Values valueRegisters = loadValues(step);
                    return attendStep(step, keyRegisters, valueRegisters, state,
                                      std::nullopt);
                  });
  return k.choose(
      steps > 0, TypeRange(ValueRange(start)),
      [&] {
        Values keyRegisters = loadKeys(firstStep);
        Values valueRegisters = loadValues(firstStep);
        size_t keyCount = keyRegisters.size();
        size_t valueCount = valueRegisters.size();
        Values carried = keyRegisters;
        llvm::append_range(carried, valueRegisters);
        llvm::append_range(carried, start);
        auto split = [&](ValueRange all) {
          keyRegisters = Values(all.take_front(keyCount));
          valueRegisters = Values(all.slice(keyCount, valueCount));
          return all.drop_front(keyCount + valueCount);
        };
        carried = k.loop(
            k.integer(0), steps - 1, one, carried, [&](Int i, ValueRange all) {
              Int step = firstStep + i * stride;
              Values state = attendStep(step, keyRegisters, valueRegisters,
                                        split(all), step + stride);
              Values next = keyRegisters;
              llvm::append_range(next, valueRegisters);
              llvm::append_range(next, state);
              return next;
            });
        ValueRange state = split(carried);
        return attendStep(firstStep + (steps - 1) * stride, keyRegisters,
                          valueRegisters, state, std::nullopt);
      },
      [&] { return start; });
}

} // namespace rshard::cuda
