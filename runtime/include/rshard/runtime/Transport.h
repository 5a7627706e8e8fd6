//===- Transport.h - What a session tells about its messages
//----------------===//
#ifndef RSHARD_RUNTIME_TRANSPORT_H
#define RSHARD_RUNTIME_TRANSPORT_H

#include <cstdint>
#include <vector>

namespace rshard::runtime {

/// Bytes that crossed one edge since the counters were reset, summed over
/// layers and steps: counted once where the source sends and once where the
/// destination receives (C7). Edges inside a rank move no bytes and are not
/// listed.
struct EdgeCount {
  int32_t exchange;    ///< index into Manifest::exchanges
  int32_t tensor;      ///< index into ExchangeSpec::tensors
  int32_t source;      ///< rank
  int32_t destination; ///< rank
  uint64_t sentBytes;
  uint64_t receivedBytes;
  uint64_t messages;
  bool operator==(const EdgeCount &) const = default;
};

/// One received message: which rows, by global position, in the order in which
/// they arrived. The positions come from the sender's tables.
struct ReceiveRecord {
  int32_t rank;
  int32_t source;
  int32_t exchange;
  int32_t layer;
  int32_t tensor;
  std::vector<int32_t> positions;
  bool operator==(const ReceiveRecord &) const = default;
};

/// A test switch: messages of this edge are matched and counted, but their data
/// is not copied. -1 stands for every layer or tensor.
struct MutedEdge {
  int32_t exchange;
  int32_t source;
  int32_t destination;
  int32_t layer = -1;
  int32_t tensor = -1;
};

} // namespace rshard::runtime

#endif
