#include "SessionState.h"

#include <algorithm>
#include <cstring>
#include <string>

namespace rshard::runtime {

Session::Session(std::unique_ptr<State> state) : state(std::move(state)) {}
Session::Session(Session &&) noexcept = default;
Session &Session::operator=(Session &&) noexcept = default;
Session::~Session() = default;

/// Poison mode: what was received before must not stand in for what is not
/// received now.
void Session::State::poisonPools(int32_t rank, int32_t exchange) {
  const RankData &data = *ranks[static_cast<size_t>(rank)];
  for (const ExchangeTensor &tensor :
       manifest.exchanges[static_cast<size_t>(exchange)].tensors) {
    int64_t at = bufferIndex(manifest, "pool." + tensor.name);
    if (at < 0)
      continue;
    const BufferSpec &buffer = manifest.buffers[static_cast<size_t>(at)];
    int64_t own = static_cast<int64_t>(
        data.routes.tables().find(tensor.positions)->size());
    int64_t all = data.largest[static_cast<size_t>(buffer.rows)];
    int64_t rowBytes = buffer.width * tokenset::elementBytes(buffer.type);
    auto *begin = static_cast<std::byte *>(
        data.arena.buffers()[static_cast<size_t>(at)].data);
    if (own < all)
      device->poison(begin + own * rowBytes,
                     static_cast<uint64_t>((all - own) * rowBytes));
  }
}

Expected<void> Session::State::check(std::span<const int32_t> tokens,
                                     int64_t position, Want want) const {
  int64_t count = static_cast<int64_t>(tokens.size());
  if (count == 0)
    return Error{"a step needs at least one token"};
  if (manifest.model.bidirectional && position != 0)
    return Error{
        "a bidirectional model takes one step from position 0, not from " +
        std::to_string(position)};
  if (position < 0 || position > length)
    return Error{"step at position " + std::to_string(position) +
                 ", the session holds " + std::to_string(length) +
                 " positions"};
  if (count > options.capacity - position)
    return Error{std::to_string(count) + " tokens from position " +
                 std::to_string(position) + " are beyond the capacity of " +
                 std::to_string(options.capacity)};
  if (manifest.model.bidirectional && count > options.largestStep)
    return Error{std::to_string(count) +
                 " tokens in one step, the largest step has " +
                 std::to_string(options.largestStep) +
                 ", and a bidirectional model cannot be cut"};
  if (want == Want::All && !options.allRows)
    return Error{
        "the session was created without room for the results of all rows"};
  for (size_t i = 0; i != tokens.size(); ++i)
    if (tokens[i] < 0 || tokens[i] >= manifest.model.vocabulary)
      return Error{"token " + std::to_string(i) + " is " +
                   std::to_string(tokens[i]) + ", the vocabulary has " +
                   std::to_string(manifest.model.vocabulary)};
  return {};
}

/// One step of at most the largest size; the results of its last `wanted` rows.
Expected<const float *> Session::State::runPart(std::span<const int32_t> tokens,
                                                int64_t position,
                                                int64_t wanted) {
  tokenset::Step step{position, static_cast<int64_t>(tokens.size()), wanted};
  // A step that does not end, because of an exception or an error, never was.
  struct Unfinished {
    ~Unfinished() {
      if (finished)
        return;
      for (auto &rank : state.ranks)
        rank->routes.truncate(position);
      state.length = std::min(state.length, position);
    }
    State &state;
    int64_t position;
    bool finished = false;
  } unfinished{*this, position};
  device->begin(step.rows);
  for (auto &rank : ranks) {
    if (Expected<void> filled = rank->routes.fill(step); !filled)
      return filled.error();
    if (rank->routes.rank() == clientRank)
      rank->client.fill(
          tokens, position,
          static_cast<int64_t>(rank->routes.tables().leavePosition.size()),
          wanted);
    rank->arena.setRows(manifest,
                        stepRows(rank->routes, wanted, rank->largest));
    if (options.poison)
      rank->arena.poison(*device, false);
  }
  device->show(tableSources, tables);
  Expected<void> ran = transport->run(
      [](void *ctx, int32_t rank) {
        auto &self = *static_cast<State *>(ctx);
        self.code->step()(&self.ranks[static_cast<size_t>(rank)]->frame);
      },
      this);
  const void *results = nullptr;
  if (ran) {
    results = device->fetch(ranks[static_cast<size_t>(clientRank)]
                                ->frame.buffers[resultBuffer]
                                .data,
                            static_cast<uint64_t>(wanted * resultWidth) *
                                sizeof(float));
  }
  // Whatever was started has ended before anything is reported or done again.
  Expected<void> finished = device->finish();
  if (ran)
    ran = finished;
  if (!ran)
    return ran.error();
  unfinished.finished = true;
  length = position + step.rows;
  return static_cast<const float *>(results);
}

Expected<Rows> Session::step(std::span<const int32_t> tokens, int64_t position,
                             Want want) {
  State &s = *state;
  if (Expected<void> valid = s.check(tokens, position, want); !valid)
    return valid.error();
  int64_t count = static_cast<int64_t>(tokens.size()),
          largest = s.options.largestStep;
  Rows out;
  out.width = s.resultWidth;
  out.rows = want == Want::All ? count : want == Want::Last ? 1 : 0;
  bool gather = want == Want::All && count > largest;
  if (gather)
    s.results.resize(static_cast<size_t>(count * out.width));
  for (int64_t done = 0; done < count; done += largest) {
    int64_t rows = std::min(largest, count - done);
    bool last = done + rows == count;
    int64_t wanted = want == Want::All            ? rows
                     : want == Want::Last && last ? 1
                                                  : 0;
    Expected<const float *> part = s.runPart(
        tokens.subspan(static_cast<size_t>(done), static_cast<size_t>(rows)),
        position + done, wanted);
    if (!part)
      return Error{"step at position " + std::to_string(position + done) +
                   ": " + part.error().message};
    out.data = *part;
    if (gather)
      std::memcpy(s.results.data() + done * out.width, *part,
                  static_cast<size_t>(rows * out.width) * sizeof(float));
  }
  if (gather)
    out.data = s.results.data();
  return out;
}

int64_t Session::length() const { return state->length; }
int64_t Session::resultWidth() const { return state->resultWidth; }
int64_t Session::capacity() const { return state->options.capacity; }
int64_t Session::largestStep() const { return state->options.largestStep; }
const Manifest &Session::manifest() const { return state->manifest; }
int32_t Session::ranks() const {
  return static_cast<int32_t>(state->ranks.size());
}
uint64_t Session::arenaBytes() const {
  uint64_t bytes = 0;
  for (auto &rank : state->ranks)
    bytes += rank->arena.bytes();
  return bytes;
}
uint64_t Session::packedBytes() const { return state->weights->packedBytes(); }
std::vector<EdgeCount> Session::counts() const {
  return state->transport->counts();
}
void Session::resetCounts() { state->transport->resetCounts(); }
const std::vector<ReceiveRecord> &Session::receiveLog() const {
  return state->transport->receiveLog();
}
void Session::clearReceiveLog() { state->transport->clearReceiveLog(); }
void Session::setMuted(std::vector<MutedEdge> edges) {
  state->transport->setMuted(std::move(edges));
}

} // namespace rshard::runtime
