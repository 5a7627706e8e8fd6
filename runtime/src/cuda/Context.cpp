#include "Context.h"
#include "ByteCount.h"
#include "rshard/runtime/Gpu.h"

namespace rshard::runtime {

tokenset::Expected<void> checkGpu(int device, const std::string &chip) {
  if (auto found = cuda::Context::find(device, chip); !found)
    return found.error();
  return {};
}

} // namespace rshard::runtime

namespace rshard::runtime::cuda {

namespace {

/// Compute capability 9.0 for "sm_90a". Code for an architecture with a letter
/// runs on that one alone.
bool runsOn(const std::string &chip, int major, int minor) {
  std::string exact = "sm_" + std::to_string(major) + std::to_string(minor);
  return chip == exact || chip == exact + "a";
}

} // namespace

Expected<std::shared_ptr<Context>> Context::find(int ordinal,
                                                 const std::string &chip) {
  Expected<const DriverApi *> driver = DriverApi::get();
  if (!driver)
    return driver.error();
  const DriverApi &api = **driver;
  int count = 0;
  if (auto done = api.check(api.deviceGetCount(&count), "the CUDA driver");
      !done)
    return done.error();
  if (ordinal < 0 || ordinal >= count)
    return Error{"device " + std::to_string(ordinal) +
                 ": the CUDA driver shows " + std::to_string(count) +
                 (count == 1 ? " device" : " devices")};
  std::shared_ptr<Context> out(new Context(api));
  out->number = ordinal;
  char name[128] = "";
  int major = 0, minor = 0;
  DeviceNumber device = 0;
  auto attribute = [&](int which, int &value) {
    return api.deviceGetAttribute(&value, which, device);
  };
  for (Result result : {api.deviceGet(&device, ordinal),
                        api.deviceGetName(name, sizeof(name) - 1, device),
                        attribute(computeCapabilityMajor, major),
                        attribute(computeCapabilityMinor, minor),
                        attribute(multiprocessorCount, out->processors)})
    if (auto done = api.check(result, "the CUDA driver"); !done)
      return done.error();
  out->title = "device " + std::to_string(ordinal) + " (" + name + ")";
  if (!runsOn(chip, major, minor))
    return Error{out->title + " has compute capability " +
                 std::to_string(major) + "." + std::to_string(minor) +
                 ", the artifact's kernels are for " + chip};
  out->device = device;
  return out;
}

Expected<std::shared_ptr<Context>> Context::create(int ordinal,
                                                   const std::string &chip) {
  Expected<std::shared_ptr<Context>> found = find(ordinal, chip);
  if (!found)
    return found;
  Context &out = **found;
  if (auto done = out.api.check(out.api.contextRetain(&out.handle, out.device),
                                out.title.c_str());
      !done)
    return done.error();
  return found;
}

Context::~Context() {
  if (handle)
    api.contextRelease(device);
}

Expected<std::shared_ptr<std::byte>> Context::allocate(uint64_t bytes) {
  Use use(*this);
  Address address = 0;
  Result result = api.memoryAllocate(&address, bytes);
  if (result == outOfMemory) {
    Expected<uint64_t> left = freeBytes();
    return Error{title + " has " + (left ? bytesHad(*left) : "too little") +
                 " free, " + bytesNeeded(bytes) + " are needed"};
  }
  if (auto done = api.check(result, title.c_str()); !done)
    return done.error();
  return std::shared_ptr<std::byte>(
      reinterpret_cast<std::byte *>(address),
      [context = shared_from_this()](std::byte *memory) {
        Use inside(*context);
        context->api.memoryFree(addressOf(memory));
      });
}

Expected<std::shared_ptr<std::byte>> Context::allocateHost(uint64_t bytes) {
  Use use(*this);
  void *memory = nullptr;
  if (auto done = api.check(api.hostAllocate(&memory, bytes, 0),
                            "page-locked memory of the host");
      !done)
    return done.error();
  return std::shared_ptr<std::byte>(
      static_cast<std::byte *>(memory),
      [context = shared_from_this()](std::byte *address) {
        Use inside(*context);
        context->api.hostFree(address);
      });
}

Expected<uint64_t> Context::freeBytes() {
  Use use(*this);
  size_t left = 0, total = 0;
  if (auto done = api.check(api.memoryInfo(&left, &total), title.c_str());
      !done)
    return done.error();
  return uint64_t(left);
}

Expected<Stream> Stream::create(std::shared_ptr<Context> context) {
  Context::Use use(*context);
  Stream out;
  const DriverApi &api = context->driver();
  if (auto done = api.check(api.streamCreate(&out.handle, nonBlocking),
                            context->name().c_str());
      !done)
    return done.error();
  out.context = std::move(context);
  return out;
}

Stream::~Stream() {
  if (!context)
    return;
  Context::Use use(*context);
  context->driver().streamDestroy(handle);
}

} // namespace rshard::runtime::cuda
