//===- SessionState.h - The inside of a session
//------------------------------===//
#ifndef RSHARD_RUNTIME_SRC_SESSIONSTATE_H
#define RSHARD_RUNTIME_SRC_SESSIONSTATE_H

#include "Device.h"
#include "LocalTransport.h"
#include "RankArena.h"
#include "rshard/runtime/Session.h"
#include "rshard/tokenset/Plan.h"

#include <numeric>
#include <string_view>

namespace rshard::runtime {
using tokenset::IndexList;
using tokenset::Plan;
using tokenset::Routes;

/// The tables beside those of Routes. All are empty where the client does not
/// live.
struct ClientTables {
  IndexList token;    ///< client.token: the step's tokens
  IndexList identity; ///< client.identity: 0, 1, ... for the step's rows
  IndexList cached; ///< client.cached: positions that the client's layers hold
                    ///< after the append
  IndexList wantedRow; ///< wanted.row: rows whose results the caller wants,
                       ///< among those that came back

  void reserve(int64_t rows, int64_t capacity) {
    for (IndexList *list : {&token, &identity, &wantedRow})
      list->reserve(static_cast<size_t>(rows));
    cached.reserve(static_cast<size_t>(capacity));
  }
  /// What reserve() takes.
  static uint64_t bytes(int64_t rows, int64_t capacity) {
    return sizeof(IndexList::value_type) *
           static_cast<uint64_t>(3 * rows + capacity);
  }
  const IndexList *find(std::string_view name) const {
    return name == "client.token"      ? &token
           : name == "client.identity" ? &identity
           : name == "client.cached"   ? &cached
           : name == "wanted.row"      ? &wantedRow
                                       : nullptr;
  }
  void fill(std::span<const int32_t> tokens, int64_t position, int64_t rows,
            int64_t returned, int64_t wanted) {
    token.assign(tokens.begin(), tokens.end());
    count(identity, 0, rows);
    count(cached, 0, position + rows);
    count(wantedRow, returned - wanted, returned);
  }

private:
  static void count(IndexList &list, int64_t begin, int64_t end) {
    list.resize(static_cast<size_t>(end - begin));
    std::iota(list.begin(), list.end(), static_cast<int32_t>(begin));
  }
};

/// What a step runs: token ids or, attention-only, rows.
struct StepInput {
  std::span<const int32_t> tokens;
  AttentionRows given;
  int64_t rows = 0;
};

struct RankData {
  explicit RankData(Routes routes) : routes(std::move(routes)) {}
  Routes routes;
  RowCounts largest{};
  RankArena arena;
  ClientTables client;
  rshard_frame frame{};
};

/// -1: there is none of this name.
inline int64_t bufferIndex(const Manifest &manifest, std::string_view name) {
  for (size_t i = 0; i != manifest.buffers.size(); ++i)
    if (manifest.buffers[i].name == name)
      return static_cast<int64_t>(i);
  return -1;
}

struct Session::State {
  /// Session::create, where memory that is not there is thrown.
  static Expected<Session> create(const Artifact &artifact,
                                  const Weights &weights,
                                  SessionOptions options);

  Manifest manifest;
  SessionOptions options;
  Plan plan;
  std::shared_ptr<const HostCode> code;
  std::unique_ptr<Device> device; ///< outlives what lies in its memory
  std::shared_ptr<const PackedWeights> weights;
  std::unique_ptr<LocalTransport> transport;
  std::vector<std::unique_ptr<RankData>> ranks;
  /// The tables of all ranks, each in the manifest's order: what fills them,
  /// and where host code and kernels read them.
  std::vector<const IndexList *> tableSources;
  std::vector<rshard_table> tables;
  int32_t clientRank = 0;
  size_t resultBuffer = 0;
  size_t enterBuffer = 0; ///< attention-only: where the caller's rows go
  int64_t resultWidth = 0;
  std::vector<float> results; ///< of a prompt that was cut
  int64_t length = 0;

  Expected<void> lookUpResult();
  Expected<void> lookUpEnter();
  Expected<RowCounts> largestOf(int32_t rank) const;
  Expected<SessionMemory> measure() const;
  Expected<void> fits(const Weights &weights, Device &device,
                      MemoryUse use) const;
  std::string whatFits(const Weights &weights) const;
  Expected<void> layOutRank(int32_t rank);
  Expected<void> readyRank(RankData &data);
  void poisonPools(int32_t rank, int32_t exchange);
  std::vector<ExchangeRoute> routesOf(const RankData &rank,
                                      std::string &missing) const;
  Expected<void> check(const StepInput &input, int64_t position,
                       Want want) const;
  Expected<void> checkTokens(std::span<const int32_t> tokens) const;
  Expected<void> checkRows(const AttentionRows &rows) const;
  /// Rows [begin, begin + count) of a step.
  StepInput partOf(const StepInput &input, int64_t begin, int64_t count) const;
  void giveRows(const AttentionRows &rows);
  Expected<const float *> runPart(const StepInput &input, int64_t position,
                                  int64_t wanted);
  Expected<Rows> run(const StepInput &input, int64_t position, Want want);
};

} // namespace rshard::runtime

#endif
