#include "rshard/runtime/Weights.h"
#include "Packing.h"
#include "rshard/runtime/Pool.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <mutex>
#include <sys/mman.h>

namespace rshard::runtime {
namespace fs = std::filesystem;

struct Weights::State {
  SafeTensors tensors;
  std::string identity;
  std::mutex lock;
  std::map<std::string, std::weak_ptr<const PackedWeights>>
      packed; ///< by the list of weights
};

struct PackedWeights::State {
  std::shared_ptr<Weights::State> files;
  std::vector<const void *> slots;
  void *memory = nullptr;
  uint64_t bytes = 0;
  ~State() {
    if (memory)
      ::munmap(memory, bytes);
  }
};

PackedWeights::PackedWeights(std::unique_ptr<State> state)
    : state(std::move(state)) {}
PackedWeights::~PackedWeights() = default;
const void *const *PackedWeights::slots() const { return state->slots.data(); }
uint64_t PackedWeights::packedBytes() const { return state->bytes; }

Expected<Weights> Weights::open(const fs::path &model) {
  Weights out;
  out.state = std::make_shared<State>();
  Expected<SafeTensors> tensors = SafeTensors::open(model);
  if (!tensors)
    return tensors.error();
  out.state->tensors = std::move(*tensors);
  std::error_code code;
  fs::path config =
      (fs::is_directory(model, code) ? model : out.state->tensors.directory()) /
      "config.json";
  MappedFile map;
  std::string_view text = "{}";
  if (fs::exists(config, code)) {
    Expected<MappedFile> file = MappedFile::open(config);
    if (!file)
      return file.error();
    map = std::move(*file);
    text = map.text();
  }
  Expected<std::string> identity = modelIdentity(text, out.state->tensors);
  if (!identity)
    return Error{config.parent_path().string() + ": " +
                 identity.error().message};
  out.state->identity = std::move(*identity);
  return out;
}

const SafeTensors &Weights::tensors() const { return state->tensors; }
const std::string &Weights::identity() const { return state->identity; }
Expected<std::string> Weights::content(const Progress &progress) const {
  return contentHash(state->tensors, progress);
}

namespace {

/// "model.layers.{}.x" -> "model.layers.7.x"
std::string layerName(std::string name, int64_t layer) {
  size_t at = name.find("{}");
  return at == std::string::npos ? name
                                 : name.replace(at, 2, std::to_string(layer));
}

constexpr uint64_t alignment = 64;

/// The file's pages inside a tensor have been read once and for all: they need
/// not stay in memory.
void release(const Tensor &tensor) {
  constexpr uintptr_t page = 4096;
  uintptr_t begin = reinterpret_cast<uintptr_t>(tensor.data),
            end = (begin + tensor.bytes) / page * page;
  begin = (begin + page - 1) / page * page;
  if (begin < end)
    ::madvise(reinterpret_cast<void *>(begin), end - begin, MADV_DONTNEED);
}

} // namespace

Expected<std::shared_ptr<const PackedWeights>>
Weights::pack(const Manifest &manifest, const Progress &progress) const {
  Manifest listed;
  listed.weights = manifest.weights;
  std::string key = sha256(listed.toJson());
  std::lock_guard guard(state->lock);
  if (auto found = state->packed.find(key); found != state->packed.end())
    if (std::shared_ptr<const PackedWeights> packed = found->second.lock())
      return packed;

  struct Placed {
    PackJob job;
    std::vector<const Tensor *> tensors;
    int64_t slot;
    uint64_t offset;
  };
  auto out = std::make_unique<PackedWeights::State>();
  out->files = state;
  out->slots.assign(static_cast<size_t>(manifest.weightSlots()), nullptr);
  std::vector<Placed> jobs;
  for (const WeightSpec &spec : manifest.weights) {
    if (Expected<void> fits = checkPack(spec); !fits)
      return Error{"weight \"" + spec.symbol + "\": pack " +
                   fits.error().message};
    int64_t first = spec.layers ? spec.layers->first : 0,
            last = spec.layers ? spec.layers->second : 1;
    for (int64_t layer = first; layer != last; ++layer) {
      PackJob job;
      job.layout = *parsePack(spec.pack);
      std::vector<const Tensor *> tensors;
      for (const WeightPart &part : spec.parts) {
        Expected<const Tensor *> tensor =
            state->tensors.get(layerName(part.tensor, layer));
        if (!tensor)
          return tensor.error();
        Expected<PackPart> stored = storedPart(part, **tensor);
        if (!stored)
          return Error{state->tensors.files()[(*tensor)->file].string() + ": " +
                       stored.error().message};
        job.parts.push_back(*stored);
        tensors.push_back(*tensor);
      }
      int64_t slot = spec.slot + layer - first;
      if (const void *place = job.inPlace()) {
        out->slots[static_cast<size_t>(slot)] = place;
        continue;
      }
      uint64_t bytes = job.bytes();
      jobs.push_back({std::move(job), std::move(tensors), slot, out->bytes});
      out->bytes += (bytes + alignment - 1) / alignment * alignment;
    }
  }
  if (out->bytes != 0) {
    void *memory = ::mmap(nullptr, out->bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
      return Error{"no memory for " + std::to_string(out->bytes) +
                   " bytes of packed weights: " + std::strerror(errno)};
    out->memory = memory;
    // Kernels stream through the panels: fewer page faults and translations.
    ::madvise(memory, out->bytes, MADV_HUGEPAGE);
  }
  using Clock = std::chrono::steady_clock;
  Clock::time_point last = Clock::now();
  for (const Placed &placed : jobs) {
    std::byte *target = static_cast<std::byte *>(out->memory) + placed.offset;
    uint64_t piece = placed.job.pieceBytes();
    parallelFor(placed.job.pieces(), [&](int64_t begin, int64_t end) {
      placed.job.pack(target + static_cast<uint64_t>(begin) * piece, begin,
                      end);
    });
    out->slots[static_cast<size_t>(placed.slot)] = target;
    for (const Tensor *tensor : placed.tensors)
      release(*tensor);
    if (progress && Clock::now() - last > std::chrono::milliseconds(200)) {
      last = Clock::now();
      progress(placed.offset + placed.job.bytes(), out->bytes);
    }
  }
  if (progress)
    progress(out->bytes, out->bytes);
  std::shared_ptr<const PackedWeights> packed(
      new PackedWeights(std::move(out)));
  state->packed[key] = packed;
  return packed;
}

} // namespace rshard::runtime
