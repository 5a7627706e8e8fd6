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

Expected<void> Session::State::check(const StepInput &input, int64_t position,
                                     Want want) const {
  int64_t count = input.rows;
  const char *what = manifest.model.attentionOnly ? " rows" : " tokens";
  if (count <= 0)
    return Error{manifest.model.attentionOnly
                     ? "a step needs at least one row, not " +
                           std::to_string(count)
                     : "a step needs at least one token"};
  if (manifest.model.bidirectional && position != 0)
    return Error{
        "a bidirectional model takes one step from position 0, not from " +
        std::to_string(position)};
  if (position < 0 || position > length)
    return Error{"step at position " + std::to_string(position) +
                 ", the session holds " + std::to_string(length) +
                 " positions"};
  if (count > options.capacity - position)
    return Error{std::to_string(count) + what + " from position " +
                 std::to_string(position) + " are beyond the capacity of " +
                 std::to_string(options.capacity)};
  if (manifest.model.bidirectional && count > options.largestStep)
    return Error{std::to_string(count) + what +
                 " in one step, the largest step has " +
                 std::to_string(options.largestStep) +
                 ", and a bidirectional model cannot be cut"};
  if (want == Want::All && !options.allRows)
    return Error{
        "the session was created without room for the results of all rows"};
  return {};
}

Expected<void>
Session::State::checkTokens(std::span<const int32_t> tokens) const {
  for (size_t i = 0; i != tokens.size(); ++i)
    if (tokens[i] < 0 || tokens[i] >= manifest.model.vocabulary)
      return Error{"token " + std::to_string(i) + " is " +
                   std::to_string(tokens[i]) + ", the vocabulary has " +
                   std::to_string(manifest.model.vocabulary)};
  return {};
}

Expected<void> Session::State::checkRows(const AttentionRows &rows) const {
  if (!manifest.model.attentionOnly)
    return Error{"the program takes tokens, no rows of queries, keys and "
                 "values: step(), not attend()"};
  for (auto [name, data] : {std::pair("query", rows.query),
                            {"key", rows.key},
                            {"value", rows.value}})
    if (!data)
      return Error{std::string(name) + " is NULL"};
  return {};
}

StepInput Session::State::partOf(const StepInput &input, int64_t begin,
                                 int64_t count) const {
  if (!manifest.model.attentionOnly)
    return {input.tokens.subspan(static_cast<size_t>(begin),
                                 static_cast<size_t>(count)),
            {},
            count};
  const ModelInfo &model = manifest.model;
  int64_t skipped = begin * model.headSize *
                    tokenset::elementBytes(manifest.buffers[enterBuffer].type);
  auto from = [&](const void *rows, int64_t heads) {
    return static_cast<const std::byte *>(rows) + skipped * heads;
  };
  return {{},
          {from(input.given.query, model.heads),
           from(input.given.key, model.kvHeads),
           from(input.given.value, model.kvHeads), count},
          count};
}

/// The client sends from here: a row's query heads, then its key heads, then
/// its value heads.
void Session::State::giveRows(const AttentionRows &rows) {
  const ModelInfo &model = manifest.model;
  auto head = static_cast<uint64_t>(
      model.headSize *
      tokenset::elementBytes(manifest.buffers[enterBuffer].type));
  uint64_t pitch =
      static_cast<uint64_t>(model.heads + 2 * model.kvHeads) * head;
  auto *to = static_cast<std::byte *>(
      ranks[static_cast<size_t>(clientRank)]->frame.buffers[enterBuffer].data);
  for (auto [from, heads] : {std::pair(rows.query, model.heads),
                             {rows.key, model.kvHeads},
                             {rows.value, model.kvHeads}}) {
    uint64_t bytes = static_cast<uint64_t>(heads) * head;
    device->put(to, pitch, from, bytes, rows.rows);
    to += bytes;
  }
}

/// One step of at most the largest size; the results of its last `wanted` rows.
Expected<const float *> Session::State::runPart(const StepInput &input,
                                                int64_t position,
                                                int64_t wanted) {
  tokenset::Step step{position, input.rows, wanted};
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
          input.tokens, position, input.rows,
          static_cast<int64_t>(rank->routes.tables().leavePosition.size()),
          wanted);
    rank->arena.setRows(manifest,
                        stepRows(rank->routes, wanted, rank->largest));
    if (options.poison)
      rank->arena.poison(*device, false);
  }
  if (manifest.model.attentionOnly)
    giveRows(input.given);
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

/// All of it, in parts of the largest size.
Expected<Rows> Session::State::run(const StepInput &input, int64_t position,
                                   Want want) {
  int64_t count = input.rows, largest = options.largestStep;
  Rows out;
  out.width = resultWidth;
  out.rows = want == Want::All ? count : want == Want::Last ? 1 : 0;
  bool gather = want == Want::All && count > largest;
  if (gather)
    results.resize(static_cast<size_t>(count * out.width));
  for (int64_t done = 0; done < count; done += largest) {
    int64_t rows = std::min(largest, count - done);
    bool last = done + rows == count;
    int64_t wanted = want == Want::All            ? rows
                     : want == Want::Last && last ? 1
                                                  : 0;
    Expected<const float *> part =
        runPart(partOf(input, done, rows), position + done, wanted);
    if (!part)
      return Error{"step at position " + std::to_string(position + done) +
                   ": " + part.error().message};
    out.data = *part;
    if (gather)
      std::memcpy(results.data() + done * out.width, *part,
                  static_cast<size_t>(rows * out.width) * sizeof(float));
  }
  if (gather)
    out.data = results.data();
  return out;
}

Expected<Rows> Session::step(std::span<const int32_t> tokens, int64_t position,
                             Want want) {
  if (state->manifest.model.attentionOnly)
    return Error{"an attention-only program takes rows of queries, keys and "
                 "values, no tokens: attend(), not step()"};
  StepInput input{tokens, {}, static_cast<int64_t>(tokens.size())};
  if (Expected<void> valid = state->check(input, position, want); !valid)
    return valid.error();
  if (Expected<void> valid = state->checkTokens(tokens); !valid)
    return valid.error();
  return state->run(input, position, want);
}

Expected<Rows> Session::attend(const AttentionRows &rows, int64_t position) {
  StepInput input{{}, rows, rows.rows};
  if (Expected<void> valid = state->checkRows(rows); !valid)
    return valid.error();
  if (Expected<void> valid = state->check(input, position, Want::All); !valid)
    return valid.error();
  return state->run(input, position, Want::All);
}

int64_t Session::length() const { return state->length; }
int64_t Session::resultWidth() const { return state->resultWidth; }
int64_t Session::capacity() const { return state->options.capacity; }
int64_t Session::largestStep() const { return state->options.largestStep; }
tokenset::ElementType Session::rowType() const {
  return state->plan.types.activations;
}
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
