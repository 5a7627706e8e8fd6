#include "WeightUpload.h"
#include "rshard/runtime/Pool.h"

#include <algorithm>

namespace rshard::runtime::cuda {

namespace {

/// Long enough for the full speed of the bus.
constexpr uint64_t halfBytes = uint64_t(32) << 20;

} // namespace

Expected<std::shared_ptr<std::byte>> WeightUpload::allocate(uint64_t bytes) {
  Expected<Stream> created = Stream::create(context);
  if (!created)
    return created.error();
  stream = std::move(*created);
  return context->allocate(bytes);
}

/// Sends the current half, once the other has arrived.
Expected<void> WeightUpload::copy(std::byte *to, uint64_t bytes) {
  if (Expected<void> arrived = finish(); !arrived)
    return arrived;
  Context::Use use(*context);
  const DriverApi &api = context->driver();
  const std::byte *from = halves[current].memory.get();
  current = 1 - current;
  return api.check(api.copyToDevice(addressOf(to), from, bytes, stream.get()),
                   "copying weights");
}

Expected<void> WeightUpload::pack(std::byte *to, const PackJob &job) {
  uint64_t piece = job.pieceBytes();
  auto most = static_cast<int64_t>(std::max<uint64_t>(halfBytes / piece, 1));
  for (int64_t first = 0; first < job.pieces(); first += most) {
    int64_t count = std::min(most, job.pieces() - first);
    uint64_t bytes = static_cast<uint64_t>(count) * piece;
    Half &half = halves[current];
    if (half.bytes < bytes) {
      half.bytes = std::max(bytes, halfBytes);
      Expected<std::shared_ptr<std::byte>> memory =
          context->allocateHost(half.bytes);
      if (!memory)
        return memory.error();
      half.memory = std::move(*memory);
    }
    parallelFor(count, [&](int64_t begin, int64_t end) {
      job.pack(half.memory.get() + static_cast<uint64_t>(begin) * piece,
               first + begin, first + end);
    });
    if (Expected<void> sent =
            copy(to + static_cast<uint64_t>(first) * piece, bytes);
        !sent)
      return sent;
  }
  return {};
}

Expected<void> WeightUpload::finish() {
  if (!stream.get())
    return {};
  Context::Use use(*context);
  return context->driver().check(
      context->driver().streamSynchronize(stream.get()), "copying weights");
}

} // namespace rshard::runtime::cuda
