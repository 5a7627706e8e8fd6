#include "CudaDevice.h"
#include "ByteCount.h"
#include "WeightUpload.h"
#include "rshard/runtime/HostMemory.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace rshard::runtime::cuda {

Expected<std::unique_ptr<Device>> CudaDevice::create(const Artifact &artifact,
                                                     int ordinal) {
  const Manifest &manifest = artifact.manifest();
  std::unique_ptr<CudaDevice> out(new CudaDevice);
  Expected<std::shared_ptr<Context>> context =
      Context::create(ordinal, manifest.target.chip);
  if (!context)
    return context.error();
  out->context = std::move(*context);
  out->kernels = manifest.kernels;
  Expected<Module> module =
      Module::create(out->context, artifact.device(), out->kernels);
  if (!module)
    return module.error();
  out->module = std::move(*module);
  Expected<Stream> queue = Stream::create(out->context);
  if (!queue)
    return queue.error();
  out->queue = std::move(*queue);
  out->translated.reserve(maxKernelArguments);
  out->launch.reserve(out->kernels);
  out->commands = CommandList(out->kernels);
  out->graphs = GraphCache(out->context);
  return std::unique_ptr<Device>(std::move(out));
}

/// Nothing may be freed while the device works with it.
CudaDevice::~CudaDevice() {
  if (queue.get())
    (void)finish();
}

void CudaDevice::keep(Expected<void> result) {
  if (!result && !failure)
    failure = result.error();
}

/// Products that rotate find an angle at position * elements of a row, in
/// unsigned numbers of 32 bits.
Expected<void> CudaDevice::reaches(const Manifest &manifest,
                                   int64_t positions) {
  for (const RopeSpec &rope : manifest.rope) {
    auto width = static_cast<int64_t>(2 * rope.inverseFrequencies.size());
    if (int64_t most = (int64_t(1) << 32) / width; positions > most)
      return Error{"capacity of " + std::to_string(positions) +
                   " positions, the 32 bits in which kernels number angles "
                   "allow 1 to " +
                   std::to_string(most)};
  }
  return {};
}

Expected<std::shared_ptr<const PackedWeights>>
CudaDevice::pack(const Weights &weights, const Manifest &manifest,
                 const Progress &progress) {
  WeightUpload upload(context);
  return weights.packInto(upload, manifest, progress);
}

/// The device takes all of its memory at once.
Expected<void> CudaDevice::fits(const Weights &weights,
                                const Manifest &manifest,
                                const SessionMemory &memory, MemoryUse use) {
  if (uint64_t available = availableMemory(); memory.tables > available)
    return Error{"the host has " + bytesHad(available) +
                 " of memory available, " + bytesNeeded(memory.tables) +
                 " are needed for tables"};
  Expected<uint64_t> packed =
      weights.bytesToPack(WeightUpload(context), manifest);
  if (!packed)
    return packed.error();
  Expected<uint64_t> left = context->freeBytes();
  if (!left)
    return left.error();
  if (*packed + memory.buffers <= *left)
    return {};
  return Error{context->name() + " has " + bytesHad(*left) + " free, " +
               bytesNeeded(*packed + memory.buffers) +
               " are needed: " + bytesNeeded(*packed) + " for weights and " +
               bytesNeeded(memory.buffers) + " for the session"};
}

Expected<std::shared_ptr<std::byte>> CudaDevice::allocate(uint64_t bytes) {
  Expected<std::shared_ptr<std::byte>> memory = context->allocate(bytes);
  if (!memory)
    return memory;
  Context::Use use(*context);
  if (auto cleared = context->driver().check(
          context->driver().fill(addressOf(memory->get()), 0, bytes,
                                 queue.get()),
          context->name().c_str());
      !cleared)
    return cleared.error();
  return memory;
}

Expected<void> CudaDevice::write(void *to, std::span<const std::byte> bytes) {
  {
    Context::Use use(*context);
    keep(context->driver().copyToDevice(addressOf(to), bytes.data(),
                                        bytes.size(), queue.get()),
         "copy to the device");
  }
  return finish();
}

bool CudaDevice::growTables(uint64_t bytes) {
  if (bytes <= tableBytes)
    return true;
  Expected<std::shared_ptr<std::byte>> host = context->allocateHost(bytes),
                                       device = context->allocate(bytes);
  for (auto *memory : {&host, &device})
    if (!*memory)
      keep(memory->error());
  if (!host || !device)
    return false;
  hostTables = std::move(*host);
  deviceTables = std::move(*device);
  tableBytes = bytes;
  return true;
}

void CudaDevice::begin(int64_t rows) {
  // The kernels for few rows depend on tables alone, those for many also on the
  // length of the cache.
  constexpr int64_t few = 16;
  recording = rows <= few;
  commands.clear(); // of a step that was not run
}

void CudaDevice::put(void *to, uint64_t pitch, const void *from, uint64_t bytes,
                     int64_t rows) {
  play(); // what was asked for before comes first
  if (failure || rows == 0)
    return;
  Context::Use use(*context);
  const DriverApi &api = context->driver();
  unsigned memory = hostMemory;
  // The driver knows its own memory alone; any other is the host's.
  if (api.pointerAttribute(&memory, memoryTypeOf, addressOf(from)) != 0)
    memory = hostMemory;
  RowCopy copy;
  copy.from.memory = memory;
  copy.from.host = memory == hostMemory ? from : nullptr;
  copy.from.device = memory == hostMemory ? 0 : addressOf(from);
  copy.from.pitch = bytes;
  copy.to.memory = deviceMemory;
  copy.to.device = addressOf(to);
  copy.to.pitch = pitch;
  copy.width = bytes;
  copy.rows = static_cast<size_t>(rows);
  keep(api.copyRows(&copy, queue.get()), "copying the caller's rows");
}

void CudaDevice::show(std::span<const std::vector<int32_t> *const> lists,
                      std::span<rshard_table> shown) {
  // A power of two for every table: those that grow from step to step seldom
  // move the others.
  constexpr uint64_t least = 64;
  auto place = [least](const std::vector<int32_t> &list) {
    return std::max(least, std::bit_ceil(list.size() * sizeof(int32_t)));
  };
  uint64_t bytes = 0;
  for (const std::vector<int32_t> *list : lists)
    bytes += place(*list);
  // More than the tables take, so that the end of the last one is inside too.
  bool room = growTables(std::bit_ceil(bytes + least));
  uint64_t offset = 0;
  for (size_t i = 0; i != lists.size(); ++i) {
    const std::vector<int32_t> &list = *lists[i];
    // Without room the host code still reads its tables, and no kernel runs.
    shown[i] = {list.data(), static_cast<int64_t>(list.size())};
    if (!room)
      continue;
    std::byte *to = hostTables.get() + offset;
    if (!list.empty())
      std::memcpy(to, list.data(), list.size() * sizeof(int32_t));
    shown[i].data = reinterpret_cast<const int32_t *>(to);
    offset += place(list);
  }
  if (failure || bytes == 0)
    return;
  Context::Use use(*context);
  keep(context->driver().copyToDevice(addressOf(deviceTables.get()),
                                      hostTables.get(), bytes, queue.get()),
       "copying tables");
}

void *CudaDevice::onDevice(void *data) const {
  uint64_t offset = addressOf(data) - addressOf(hostTables.get());
  return offset < tableBytes ? deviceTables.get() + offset : data;
}

void CudaDevice::run(int32_t kernel,
                     std::span<const rshard_argument> arguments) {
  if (failure)
    return;
  if (kernel < 0 || static_cast<size_t>(kernel) >= kernels.size())
    return keep(Error{"kernel " + std::to_string(kernel) + " of " +
                      std::to_string(kernels.size())});
  auto number = static_cast<size_t>(kernel);
  const KernelSpec &spec = kernels[number];
  translated.assign(arguments.begin(), arguments.end());
  for (rshard_argument &argument : translated)
    argument.data = onDevice(argument.data);
  const DriverApi &api = context->driver();
  Context::Use use(*context);
  if (auto derived =
          launch.derive(api, spec, translated, context->multiprocessors());
      !derived)
    return keep(std::move(derived));
  if (launch.blocks() == 0)
    return;
  commands.launch(number, launch);
  if (!recording)
    play();
}

void CudaDevice::poison(void *data, uint64_t bytes) {
  if (failure || bytes == 0)
    return;
  commands.fill(addressOf(data), 0xff, bytes);
  if (!recording)
    play();
}

void CudaDevice::copy(void *to, const void *from, uint64_t bytes) {
  if (failure || bytes == 0)
    return;
  commands.copy(addressOf(to), addressOf(from), bytes);
  if (!recording)
    play();
}

/// Puts what has been asked for into the stream.
void CudaDevice::play() {
  if (!failure && !commands.empty()) {
    Context::Use use(*context);
    keep(recording ? graphs.run(commands, module, queue.get())
                   : commands.enqueue(context->driver(), module, queue.get()));
  }
  commands.clear();
}

const void *CudaDevice::fetch(const void *data, uint64_t bytes) {
  play();
  if (failure || bytes == 0)
    return results.get();
  if (bytes > resultBytes) {
    Expected<std::shared_ptr<std::byte>> memory = context->allocateHost(bytes);
    if (!memory) {
      keep(memory.error());
      return nullptr;
    }
    results = std::move(*memory);
    resultBytes = bytes;
  }
  Context::Use use(*context);
  keep(context->driver().copyToHost(results.get(), addressOf(data), bytes,
                                    queue.get()),
       "copying results");
  return results.get();
}

Expected<void> CudaDevice::finish() {
  play();
  recording = false;
  {
    Context::Use use(*context);
    keep(context->driver().streamSynchronize(queue.get()),
         context->name().c_str());
  }
  std::optional<Error> first = std::move(failure);
  failure.reset();
  if (first)
    return std::move(*first);
  return {};
}

} // namespace rshard::runtime::cuda
