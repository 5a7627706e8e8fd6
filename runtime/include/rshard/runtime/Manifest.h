//===- Manifest.h - What an artifact says about itself
//----------------------===//
//
// The compiler fills these structs and the session reads them; the JSON form
// exists in one place (src/core/Manifest.cpp).
//
//===----------------------------------------------------------------------===//
#ifndef RSHARD_RUNTIME_MANIFEST_H
#define RSHARD_RUNTIME_MANIFEST_H

#include "rshard/runtime/Kernel.h"
#include "rshard/tokenset/Mask.h"
#include "rshard/tokenset/Plan.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rshard::runtime {
using tokenset::Error;
using tokenset::Expected;

/// How many rows a buffer has: a class that the session turns into numbers once
/// per rank, from the largest step within its capacity.
enum class RowClass : uint8_t {
  Client,      ///< the step's rows, on the client's rank
  Comp,        ///< the rows of the rank's CompNodes
  PoolEnter,   ///< own client rows and received hidden rows
  PoolQuery,   ///< own comp rows and received query rows (largest mask class)
  PoolKey,     ///< the same for keys and values
  PoolPartial, ///< own partial rows and received ones
  PoolLeave,   ///< own comp rows and received ones
  SendEnter,   ///< staging rows of a sender, per exchange
  SendQuery,
  SendKey,
  SendPartial,
  SendLeave,
  Wanted, ///< rows whose logits the caller asked for
  Cache,  ///< sharded layers x columns on this rank x rows of a column's cache
  ClientCache, ///< client layers x capacity, on the client's rank
  Positions,   ///< capacity (RoPE tables)
  Rank,        ///< 1: what kernels keep between launches, zero at first
  Workspace,   ///< rows of the largest segment call: the client's or the rank's
               ///< CompNode rows
};

/// "client", "comp", "pool_enter", ..., "send_enter", ..., "wanted", "cache",
/// "client_cache", "positions", "workspace".
std::string_view rowClassName(RowClass rows);
std::optional<RowClass> rowClassFromName(std::string_view name);

struct BufferSpec {
  std::string name;
  ElementType type = ElementType::F32;
  int64_t width = 1; ///< elements per row
  RowClass rows = RowClass::Comp;
};

/// A stored tensor, or a part of one, as a matrix [N, K] or a vector [N].
struct WeightPart {
  std::string
      tensor; ///< name in the model's safetensors; "{}" stands for the layer
  std::vector<int64_t>
      shape; ///< the stored shape that the code was generated for
  /// Part of the stored tensor, before transposition: [begin, end) of the rows
  /// (elements of a vector) and of the columns.
  std::optional<std::pair<int64_t, int64_t>> sliceRows = {}, sliceColumns = {};
  bool transposed = false; ///< a matrix that is stored as [K, N]
  bool operator==(const WeightPart &) const = default;
};

/// A weight as the kernels read it. One slot of rshard_frame::weights, or one
/// per layer.
struct WeightSpec {
  std::string symbol; ///< for messages and inspection
  std::optional<std::pair<int64_t, int64_t>>
      layers;       ///< [first, last); none: a single tensor
  int64_t slot = 0; ///< weights[slot + layer - first]
  /// TYPE is f32, bf16 or f16.
  /// "panel:NR:f32", "panel:NR:bf16": a linear's weight as [ceil(N/NR)][K][NR],
  /// zero padded.
  /// "vector": f32 [N]; also from one row of a matrix.
  /// "rows:TYPE": [N, K], row-major; the CPU maps it in place where the file
  /// holds that type.
  /// "join:TYPE": the parts one below the other.
  /// "interleave8:TYPE": two parts of one shape, 8 rows of the first, 8 of the
  /// second, and so on.
  std::string pack;
  std::vector<WeightPart> parts; ///< one, unless the pack says otherwise
  /// A vector [K], also one row of a matrix, whose elements multiply the
  /// columns of every part, of "rows", "join" and "interleave8".
  std::optional<WeightPart> scale = {};
  bool operator==(const WeightSpec &) const = default;
};

struct RopeSpec {
  std::string name; ///< of the buffer [positions, 2 * inverseFrequencies]:
                    ///< cosines, then sines
  std::vector<double> inverseFrequencies;
  double scale = 1; ///< attention factor: multiplies cosines and sines
};

/// One tensor of an exchange. A transfer table's entry names it by its index.
struct ExchangeTensor {
  std::string name;  ///< buffer "pool." + name: own rows, then received ones
  int64_t width = 0; ///< elements per row
  ElementType type = ElementType::F32;
  std::string pack; ///< the sender's table of own rows, in staging order
  std::string
      positions; ///< the sender's table of global positions of those rows
};

/// One exchange in the total order. The first argument of rshard_exchange
/// indexes these.
struct ExchangeSpec {
  std::string name;     ///< "enter", "up0", "down0", "leave"
  std::string transfer; ///< name of the table of quintuples (tensor, is_send,
                        ///< peer, begin, count)
  std::vector<ExchangeTensor> tensors;
};

struct ModelInfo {
  std::string architecture;
  /// A step takes rows of queries, keys and values in place of token ids, and
  /// there is no vocabulary.
  bool attentionOnly = false;
  int64_t vocabulary = 0, heads = 0, kvHeads = 0, headSize = 0, layers = 0;
  /// Elements of a row that leaves the layers: the hidden size or,
  /// attention-only, heads * headSize.
  int64_t leaveWidth = 0;
  std::vector<tokenset::Mask> masks; ///< the mask classes
  std::vector<int32_t> layerMask;    ///< per layer: its class
  int64_t maxPositions = 0;          ///< the most positions a session may have
  bool bidirectional = false;        ///< one step only, from position 0
  bool hasHead = true;               ///< results are logits; else hidden rows
  std::vector<int32_t> endTokens;

  /// Elements of a row that enters the layers.
  int64_t enterWidth() const {
    return attentionOnly ? (heads + 2 * kvHeads) * headSize : leaveWidth;
  }
};

/// Lower-case hexadecimal SHA-256, or empty where there is none.
struct Hashes {
  std::string model;   ///< configuration and tensor table (C10)
  std::string content; ///< of the weights; empty: not required
  std::string ir;      ///< of the partitioned IR, free of the target
};

struct TargetInfo {
  std::string name = "cpu"; ///< "cpu" or "cuda"
  std::string cpu;          ///< of the host code, as LLVM calls it
  std::vector<std::string>
      features; ///< as LLVM calls them; the machine must have every one
  std::string chip =
      {}; ///< of the kernels, as ptxas calls it ("sm_90a"); cuda only
};

struct Manifest {
  int64_t abi = 0;
  std::string producer; ///< name and version of the compiler
  ModelInfo model;
  TargetInfo target;
  Hashes hashes;
  std::string plan; ///< tokenset::Plan as its JSON text
  std::vector<BufferSpec> buffers;
  std::vector<std::string> tables;
  /// Those among `tables` whose entries the host code reads: what it runs
  /// depends on them, on the sizes of all tables and on the rows of the
  /// buffers, and on nothing else. Empty for the CPU, where all code is host
  /// code.
  std::vector<std::string> hostTables;
  std::vector<KernelSpec> kernels; ///< rshard_run's second argument; cuda only
  std::vector<WeightSpec> weights;
  std::vector<RopeSpec> rope;
  std::vector<ExchangeSpec> exchanges;

  /// Canonical: the same manifest gives the same bytes.
  std::string toJson() const;
  /// Refuses another RSHARD_ABI_VERSION, then checks types, names and ranges,
  /// and refuses unknown keys; errors name the field.
  static Expected<Manifest> fromJson(std::string_view text);

  /// Slots of rshard_frame::weights.
  int64_t weightSlots() const;
};

/// The exchanges of a program with `masks` mask classes, in index order: enter,
/// up0, down0, up1, down1, ..., leave (numbered by tokenset/Exchange.h), with
/// the tables and widths that the route tables use.
std::vector<ExchangeSpec> standardExchanges(const ModelInfo &model,
                                            const tokenset::RowTypes &types);

} // namespace rshard::runtime

#endif
