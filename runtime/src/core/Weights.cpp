#include "rshard/runtime/Weights.h"
#include "HostPages.h"
#include "PackTarget.h"
#include "rshard/runtime/Pool.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <sys/mman.h>

namespace rshard::runtime {
namespace fs = std::filesystem;

struct Weights::State {
  SafeTensors tensors;
  std::string identity;
  std::optional<uint64_t> seed; ///< of random weights
  std::mutex lock;
  std::map<std::string, std::weak_ptr<const PackedWeights>>
      packed; ///< by target and list of weights
};

struct PackedWeights::State {
  std::shared_ptr<Weights::State> files;
  std::vector<const void *> slots;
  std::shared_ptr<std::byte> memory;
  uint64_t bytes = 0;
};

namespace {

/// "model.layers.{}.x" -> "model.layers.7.x"
std::string layerName(std::string name, int64_t layer) {
  size_t at = name.find("{}");
  return at == std::string::npos ? name
                                 : name.replace(at, 2, std::to_string(layer));
}

} // namespace

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

Weights Weights::random(const Manifest &manifest, uint64_t seed) {
  std::map<std::string, Tensor> tensors;
  for (const WeightSpec &spec : manifest.weights) {
    auto add = [&](const WeightPart &part) {
      int64_t first = spec.layers ? spec.layers->first : 0,
              last = spec.layers ? spec.layers->second : 1;
      for (int64_t layer = first; layer != last; ++layer) {
        std::string name = layerName(part.tensor, layer);
        tensors[name] = {.name = name, .shape = part.shape};
      }
    };
    for (const WeightPart &part : spec.parts)
      add(part);
    if (spec.scale)
      add(*spec.scale);
  }
  std::vector<Tensor> list;
  for (auto &[name, tensor] : tensors)
    list.push_back(std::move(tensor));
  Weights out;
  out.state = std::make_shared<State>();
  out.state->tensors = SafeTensors::describe(std::move(list));
  out.state->seed = seed;
  return out;
}

Weights Weights::none() {
  Weights out;
  out.state = std::make_shared<State>();
  return out;
}

bool Weights::areOfModel() const { return !state->identity.empty(); }
const SafeTensors &Weights::tensors() const { return state->tensors; }
const std::string &Weights::identity() const { return state->identity; }
Expected<std::string> Weights::content(const Progress &progress) const {
  return contentHash(state->tensors, progress);
}

namespace {

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

/// What a manifest's weights are made of and where they go.
Expected<PackList> listWeights(const SafeTensors &stored,
                               std::optional<uint64_t> seed,
                               const PackTarget &target,
                               const Manifest &manifest) {
  PackList out;
  out.slots.assign(static_cast<size_t>(manifest.weightSlots()), nullptr);
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
      auto find = [&](const WeightPart &part) -> Expected<PackPart> {
        Expected<const Tensor *> tensor =
            stored.get(layerName(part.tensor, layer));
        if (!tensor)
          return tensor.error();
        Expected<PackPart> piece = storedPart(part, **tensor);
        if (!piece)
          return Error{stored.files()[(*tensor)->file].string() + ": " +
                       piece.error().message};
        if (seed)
          piece->random = randomValues(*seed, **tensor, part.transposed);
        tensors.push_back(*tensor);
        return piece;
      };
      for (const WeightPart &part : spec.parts) {
        Expected<PackPart> piece = find(part);
        if (!piece)
          return piece.error();
        job.parts.push_back(*piece);
      }
      if (spec.scale) {
        Expected<PackPart> scale = find(*spec.scale);
        if (!scale)
          return scale.error();
        job.scale = vectorOf(*scale);
      }
      auto slot = static_cast<size_t>(spec.slot + layer - first);
      const void *place = target.readsFiles() ? job.inPlace() : nullptr;
      if (place) {
        out.slots[slot] = place;
        continue;
      }
      uint64_t bytes = job.bytes();
      out.jobs.push_back({std::move(job), std::move(tensors), slot, out.bytes});
      out.bytes += (bytes + PackList::alignment - 1) / PackList::alignment *
                   PackList::alignment;
    }
  }
  return out;
}

/// The machine's own memory.
class HostPackTarget final : public PackTarget {
public:
  std::string name() const override { return "host"; }
  bool readsFiles() const override { return true; }
  Expected<std::shared_ptr<std::byte>> allocate(uint64_t bytes) override {
    // Kernels stream through the panels.
    return mapPages(bytes, PageUse::Dense, "packed weights");
  }
  Expected<void> pack(std::byte *to, const PackJob &job) override {
    uint64_t piece = job.pieceBytes();
    parallelFor(job.pieces(), [&](int64_t begin, int64_t end) {
      job.pack(to + static_cast<uint64_t>(begin) * piece, begin, end);
    });
    return {};
  }
  Expected<void> finish() override { return {}; }
};

/// Sessions with the same key share what was packed.
std::string keyOf(const PackTarget &target, const Manifest &manifest) {
  Manifest listed;
  listed.weights = manifest.weights;
  return target.name() + " " + sha256(listed.toJson());
}

} // namespace

Expected<std::shared_ptr<const PackedWeights>>
Weights::pack(const Manifest &manifest, const Progress &progress) const {
  HostPackTarget host;
  return packInto(host, manifest, progress);
}

Expected<uint64_t> Weights::bytesToPack(const PackTarget &target,
                                        const Manifest &manifest) const {
  std::lock_guard guard(state->lock);
  if (auto found = state->packed.find(keyOf(target, manifest));
      found != state->packed.end() && !found->second.expired())
    return uint64_t(0);
  Expected<PackList> list =
      listWeights(state->tensors, state->seed, target, manifest);
  if (!list)
    return list.error();
  return list->bytes;
}

Expected<uint64_t> Weights::bytesToPack(const Manifest &manifest) const {
  return bytesToPack(HostPackTarget(), manifest);
}

Expected<std::shared_ptr<const PackedWeights>>
Weights::packInto(PackTarget &target, const Manifest &manifest,
                  const Progress &progress) const {
  std::string key = keyOf(target, manifest);
  std::lock_guard guard(state->lock);
  if (auto found = state->packed.find(key); found != state->packed.end())
    if (std::shared_ptr<const PackedWeights> packed = found->second.lock())
      return packed;
  Expected<PackList> list =
      listWeights(state->tensors, state->seed, target, manifest);
  if (!list)
    return list.error();
  auto out = std::make_unique<PackedWeights::State>();
  out->files = state;
  out->slots = std::move(list->slots);
  out->bytes = list->bytes;
  if (out->bytes != 0) {
    Expected<std::shared_ptr<std::byte>> memory = target.allocate(out->bytes);
    if (!memory)
      return memory.error();
    out->memory = std::move(*memory);
  }
  using Clock = std::chrono::steady_clock;
  Clock::time_point last = Clock::now();
  for (const PackList::Placed &placed : list->jobs) {
    std::byte *to = out->memory.get() + placed.offset;
    if (Expected<void> packed = target.pack(to, placed.job); !packed)
      return packed.error();
    out->slots[placed.slot] = to;
    for (const Tensor *tensor : placed.tensors)
      release(*tensor);
    if (progress && Clock::now() - last > std::chrono::milliseconds(200)) {
      last = Clock::now();
      progress(placed.offset + placed.job.bytes(), out->bytes);
    }
  }
  if (Expected<void> finished = target.finish(); !finished)
    return finished.error();
  if (progress)
    progress(out->bytes, out->bytes);
  std::shared_ptr<const PackedWeights> packed(
      new PackedWeights(std::move(out)));
  state->packed[key] = packed;
  return packed;
}

} // namespace rshard::runtime
