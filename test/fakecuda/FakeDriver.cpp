//===- FakeDriver.cpp - the driver's functions on the host ----------------===//

#include "FakeDriver.h"
#include "FakeKernels.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <map>
#include <sstream>
#include <sys/mman.h>

namespace {

// CUresult
enum Result : int {
  Success = 0,
  InvalidValue = 1,
  OutOfMemory = 2,
  NotInitialized = 3,
  NoDevice = 100,
  InvalidDevice = 101,
  InvalidImage = 200,
  InvalidContext = 201,
  NoBinaryForGpu = 209,
  InvalidPtx = 218,
  NotFound = 500,
  IllegalAddress = 700,
  CaptureUnsupported = 900
};

using Work = std::function<void()>;

struct Allocation {
  size_t bytes = 0;
  std::byte *shadow = nullptr; ///< where the data is
};

struct Stream {
  std::deque<Work> queue;
  bool capturing = false;
  std::vector<Work> captured;
};

struct Function {
  std::string name;
  std::unique_ptr<fakecuda::Kernel> kernel;
};
struct Module {
  std::vector<std::unique_ptr<Function>> functions;
};
using Graph = std::vector<Work>;

// CUlaunchAttribute, CUlaunchConfig
struct LaunchAttribute {
  int id;
  int padding;
  int value; ///< in a union of 64 bytes
  char rest[60];
};
struct LaunchConfig {
  unsigned gridX, gridY, gridZ, blockX, blockY, blockZ, shared;
  Stream *stream;
  const LaunchAttribute *attributes;
  unsigned attributeCount;
};

/// What cuTensorMapEncodeTiled writes.
struct Map {
  static constexpr uint64_t mark = 0xfa4e'fa4e'fa4e'fa4e;
  uint64_t sign = mark, address = 0;
};

struct Driver {
  fakecuda::Machine machine;
  fakecuda::Seen seen;
  bool initialized = false, broken = false;
  int retained = 0, current = 0; ///< contexts of the one device
  std::map<uint64_t, Allocation> memory;
  std::map<void *, size_t> host;
};

Driver &driver() {
  static Driver *driver = new Driver; // outlives everybody
  return *driver;
}

std::string reportFile;

void report() {
  const fakecuda::Seen &seen = driver().seen;
  std::ofstream(reportFile) << seen.launches.size() << " " << seen.graphsMade
                            << " " << seen.graphLaunches << "\n";
}

/// Reads RSHARD_FAKE_CUDA.
void configure(fakecuda::Machine &machine) {
  const char *text = std::getenv("RSHARD_FAKE_CUDA");
  std::istringstream in(text ? text : "");
  for (std::string word; in >> word;) {
    size_t equal = word.find('=');
    std::string name = word.substr(0, equal);
    if (name == "report") {
      reportFile = word.substr(equal + 1);
      std::atexit(report);
      continue;
    }
    long long value =
        equal == std::string::npos ? 0 : std::stoll(word.substr(equal + 1));
    if (name == "devices")
      machine.devices = static_cast<int>(value);
    else if (name == "capability")
      machine.capability = static_cast<int>(value);
    else if (name == "memory")
      machine.memory = static_cast<size_t>(value);
    else
      std::abort();
  }
}

/// Success if a context is current that nothing has broken.
Result usable() {
  Driver &d = driver();
  return !d.initialized   ? NotInitialized
         : d.current == 0 ? InvalidContext
         : d.broken       ? IllegalAddress
                          : Success;
}

int enqueue(Stream *stream, Work work) {
  if (Result result = usable())
    return result;
  if (stream->capturing)
    stream->captured.push_back(std::move(work));
  else
    stream->queue.push_back(std::move(work));
  return Success;
}

constexpr size_t page = 4096;
size_t pages(size_t bytes) { return (bytes + page - 1) / page * page; }

} // namespace

std::byte *fakecuda::memoryAt(uint64_t address, size_t bytes) {
  auto &memory = driver().memory;
  auto next = memory.upper_bound(address);
  if (next == memory.begin())
    throw IllegalAddress("below all allocations");
  auto &[begin, allocation] = *std::prev(next);
  if (address - begin > allocation.bytes ||
      bytes > allocation.bytes - (address - begin))
    throw IllegalAddress("outside of the allocation");
  return allocation.shadow + (address - begin);
}

void fakecuda::reset(const Machine &machine) {
  Driver &d = driver();
  d.machine = machine;
  d.broken = false;
  Seen fresh;
  fresh.used = fresh.mostUsed = d.seen.used;
  fresh.usedHost = d.seen.usedHost;
  fresh.objects = d.seen.objects;
  d.seen = fresh;
}
const fakecuda::Seen &fakecuda::seen() { return driver().seen; }

extern "C" {

int cuInit(unsigned flags) {
  Driver &d = driver();
  if (!d.initialized)
    configure(d.machine);
  d.initialized = true;
  return d.machine.devices == 0 ? NoDevice : Success;
}

int cuGetErrorString(int result, const char **text) {
  switch (result) {
  case OutOfMemory:
    *text = "out of memory";
    return Success;
  case NoDevice:
    *text = "no CUDA-capable device is detected";
    return Success;
  case NoBinaryForGpu:
    *text = "no kernel image is available for execution on the device";
    return Success;
  case InvalidPtx:
    *text = "a PTX JIT compilation failed";
    return Success;
  case NotFound:
    *text = "named symbol not found";
    return Success;
  case IllegalAddress:
    *text = "an illegal memory access was encountered";
    return Success;
  default:
    return InvalidValue;
  }
}

int cuDeviceGetCount(int *count) {
  *count = driver().machine.devices;
  return Success;
}
int cuDeviceGet(int *device, int ordinal) {
  *device = ordinal;
  return ordinal < driver().machine.devices ? Success : InvalidDevice;
}
int cuDeviceGetName(char *name, int size, int) {
  std::strncpy(name, "Fake GPU", static_cast<size_t>(size));
  return Success;
}
int cuDeviceGetAttribute(int *value, int attribute, int) {
  int capability = driver().machine.capability;
  *value = attribute == 16   ? 3
           : attribute == 75 ? capability / 10
           : attribute == 76 ? capability % 10
                             : -1;
  return *value < 0 ? InvalidValue : Success;
}

int cuDevicePrimaryCtxRetain(void **context, int) {
  Driver &d = driver();
  *context = &d;
  d.seen.objects += d.retained++ == 0;
  return Success;
}
int cuDevicePrimaryCtxRelease_v2(int) {
  Driver &d = driver();
  d.seen.objects -= --d.retained == 0;
  return Success;
}
int cuCtxPushCurrent_v2(void *) {
  ++driver().current;
  return driver().retained == 0 ? InvalidContext : Success;
}
int cuCtxPopCurrent_v2(void **) {
  --driver().current;
  return Success;
}

int cuMemGetInfo_v2(size_t *left, size_t *total) {
  Driver &d = driver();
  *total = d.machine.memory;
  *left = *total - std::min(*total, d.seen.used);
  return usable();
}

int cuMemAlloc_v2(uint64_t *address, size_t bytes) {
  Driver &d = driver();
  if (Result result = usable())
    return result;
  if (bytes == 0)
    return InvalidValue;
  if (bytes > d.machine.memory - std::min(d.machine.memory, d.seen.used))
    return OutOfMemory;
  void *place = ::mmap(nullptr, pages(bytes), PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
       *shadow = ::mmap(nullptr, pages(bytes), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (place == MAP_FAILED || shadow == MAP_FAILED)
    return OutOfMemory;
  *address = reinterpret_cast<uint64_t>(place);
  std::memset(shadow, 0xff, bytes); // NaN: nobody counts on fresh memory
  d.memory[*address] = {bytes, static_cast<std::byte *>(shadow)};
  d.seen.used += bytes;
  d.seen.mostUsed = std::max(d.seen.mostUsed, d.seen.used);
  return Success;
}

int cuMemFree_v2(uint64_t address) {
  Driver &d = driver();
  auto found = d.memory.find(address);
  if (found == d.memory.end())
    return InvalidValue;
  ::munmap(found->second.shadow, pages(found->second.bytes));
  ::munmap(reinterpret_cast<void *>(address), pages(found->second.bytes));
  d.seen.used -= found->second.bytes;
  d.memory.erase(found);
  return Success;
}

int cuMemHostAlloc(void **memory, size_t bytes, unsigned) {
  if (Result result = usable())
    return result;
  *memory = std::malloc(bytes);
  driver().host[*memory] = bytes;
  driver().seen.usedHost += bytes;
  return Success;
}
int cuMemFreeHost(void *memory) {
  Driver &d = driver();
  auto found = d.host.find(memory);
  if (found == d.host.end())
    return InvalidValue;
  d.seen.usedHost -= found->second;
  d.host.erase(found);
  std::free(memory);
  return Success;
}

int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes,
                         Stream *stream) {
  ++driver().seen.copiesToDevice;
  return enqueue(
      stream, [=] { std::memcpy(fakecuda::memoryAt(to, bytes), from, bytes); });
}
int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes,
                         Stream *stream) {
  ++driver().seen.copiesToHost;
  return enqueue(
      stream, [=] { std::memcpy(to, fakecuda::memoryAt(from, bytes), bytes); });
}
int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes,
                         Stream *stream) {
  ++driver().seen.copiesOnDevice;
  return enqueue(stream, [=] {
    std::memmove(fakecuda::memoryAt(to, bytes), fakecuda::memoryAt(from, bytes),
                 bytes);
  });
}
int cuPointerGetAttribute(void *value, int attribute, uint64_t address) {
  constexpr int memoryType = 2;
  constexpr unsigned device = 2;
  const auto &memory = driver().memory;
  auto next = memory.upper_bound(address);
  if (attribute != memoryType || next == memory.begin() ||
      address - std::prev(next)->first >= std::prev(next)->second.bytes)
    return InvalidValue;
  std::memcpy(value, &device, sizeof(device));
  return Success;
}

/// CUDA_MEMCPY2D
struct RowCopy {
  struct End {
    size_t x, y;
    unsigned memory;
    std::byte *host;
    uint64_t device;
    void *array;
    size_t pitch;

    /// Where a row is: of the host, or in the device's memory.
    std::byte *row(size_t number, size_t bytes) const {
      return memory == 1 ? host + number * pitch
                         : fakecuda::memoryAt(device + number * pitch, bytes);
    }
  } from, to;
  size_t width, rows;
};
int cuMemcpy2DAsync_v2(const RowCopy *given, Stream *stream) {
  for (const RowCopy::End *end : {&given->from, &given->to})
    if ((end->memory != 1 && end->memory != 2) || end->x || end->y ||
        end->array || end->pitch < given->width)
      return InvalidValue;
  ++driver().seen.copiesOfRows;
  return enqueue(stream, [copy = *given] {
    for (size_t row = 0; row != copy.rows; ++row)
      std::memmove(copy.to.row(row, copy.width), copy.from.row(row, copy.width),
                   copy.width);
  });
}
int cuMemsetD8Async(uint64_t to, unsigned char value, size_t bytes,
                    Stream *stream) {
  return enqueue(stream, [=] {
    std::memset(fakecuda::memoryAt(to, bytes), value, bytes);
  });
}

int cuStreamCreate(Stream **stream, unsigned) {
  *stream = new Stream;
  ++driver().seen.objects;
  return usable();
}
int cuStreamDestroy_v2(Stream *stream) {
  delete stream;
  --driver().seen.objects;
  return Success;
}
int cuStreamSynchronize(Stream *stream) {
  if (Result result = usable())
    return result;
  if (stream->capturing)
    return CaptureUnsupported;
  while (!stream->queue.empty()) {
    Work work = std::move(stream->queue.front());
    stream->queue.pop_front();
    try {
      work();
    } catch (const fakecuda::IllegalAddress &) {
      stream->queue.clear();
      driver().broken = true;
      return IllegalAddress;
    }
  }
  return Success;
}

int cuStreamBeginCapture_v2(Stream *stream, int) {
  stream->capturing = true;
  return usable();
}
int cuStreamEndCapture(Stream *stream, Graph **graph) {
  stream->capturing = false;
  *graph = new Graph(std::move(stream->captured));
  stream->captured.clear();
  ++driver().seen.objects;
  return usable();
}
int cuGraphInstantiateWithFlags(Graph **made, Graph *graph,
                                unsigned long long) {
  *made = new Graph(*graph);
  ++driver().seen.objects;
  ++driver().seen.graphsMade;
  return usable();
}
int cuGraphLaunch(Graph *graph, Stream *stream) {
  ++driver().seen.graphLaunches;
  for (const Work &work : *graph)
    if (int result = enqueue(stream, work))
      return result;
  return Success;
}
int cuGraphExecDestroy(Graph *graph) {
  delete graph;
  --driver().seen.objects;
  return Success;
}
int cuGraphDestroy(Graph *graph) { return cuGraphExecDestroy(graph); }

int cuModuleLoadDataEx(Module **module, const void *image, unsigned options,
                       int *, void **) {
  if (Result result = usable())
    return result;
  const fakecuda::Machine &machine = driver().machine;
  bool ptx = options != 0; // the runtime asks for the assembler's log
  if (!(ptx ? machine.takesPtx : machine.takesCubin))
    return ptx ? InvalidPtx : NoBinaryForGpu;
  *module = new Module;
  ++driver().seen.objects;
  return Success;
}
int cuModuleUnload(Module *module) {
  delete module;
  --driver().seen.objects;
  return Success;
}
int cuModuleGetFunction(Function **function, Module *module, const char *name) {
  auto made = std::make_unique<Function>();
  made->name = name;
  made->kernel = fakecuda::makeKernel(name);
  if (!made->kernel)
    return NotFound;
  *function = made.get();
  module->functions.push_back(std::move(made));
  return Success;
}
int cuFuncSetAttribute(Function *, int, int bytes) {
  return bytes > 227 * 1024 ? InvalidValue : Success;
}

int cuLaunchKernelEx(const LaunchConfig *config, Function *function,
                     void **parameters, void **) {
  auto [gridX, gridY, gridZ, blockX, blockY, blockZ, shared, stream, attributes,
        attributeCount] = *config;
  if (gridX == 0 || gridY != 1 || gridZ != 1 || blockX == 0 || blockX > 1024 ||
      blockY != 1 || blockZ != 1)
    return InvalidValue;
  bool overlaps = false;
  for (unsigned i = 0; i != attributeCount; ++i) {
    // Programmatic stream serialization is all that is known here.
    if (attributes[i].id != 6)
      return InvalidValue;
    overlaps = attributes[i].value != 0;
  }
  // Read now, like the driver does.
  fakecuda::Parameters in;
  in.blocks = gridX;
  const fakecuda::Kernel *kernel = function->kernel.get();
  for (size_t i = 0; i != kernel->addresses; ++i) {
    uint64_t address = 0;
    std::memcpy(&address, *parameters, sizeof(address));
    if (address == Map::mark) {
      Map map;
      std::memcpy(&map, *parameters, sizeof(map));
      address = map.address;
    }
    in.addresses.push_back(address);
    ++parameters;
  }
  for (size_t i = 0; i != kernel->numbers; ++i) {
    std::memcpy(&in.numbers.emplace_back(), *parameters, sizeof(int32_t));
    ++parameters;
  }
  driver().seen.launches.push_back(
      {function->name, gridX, blockX, shared, in.numbers, overlaps});
  return enqueue(stream, [kernel, in] { kernel->body(in); });
}

int cuTensorMapEncodeTiled(void *out, int type, uint32_t rank, void *address,
                           const uint64_t *extents, const uint64_t *strides,
                           const uint32_t *box, const uint32_t *elementStrides,
                           int interleave, int swizzle, int promotion,
                           int fill) {
  // Not documented: it needs a context.
  if (Result result = usable())
    return result;
  // The documented limits.
  bool good = reinterpret_cast<uintptr_t>(out) % 64 == 0 && type >= 0 &&
              type < 13 && rank >= 1 && rank <= 5 && address &&
              reinterpret_cast<uintptr_t>(address) % 16 == 0 &&
              interleave == 0 && swizzle >= 0 && swizzle <= 3 &&
              promotion >= 0 && promotion <= 3 && fill == 0;
  for (uint32_t i = 0; good && i != rank; ++i)
    good = extents[i] >= 1 && extents[i] <= uint64_t(1) << 32 && box[i] >= 1 &&
           box[i] <= 256 && elementStrides[i] == 1 &&
           (i == 0 ||
            (strides[i - 1] % 16 == 0 && strides[i - 1] < uint64_t(1) << 40));
  if (!good)
    return InvalidValue;
  Map map;
  map.address = reinterpret_cast<uintptr_t>(address);
  std::memcpy(out, &map, sizeof(map));
  return Success;
}

} // extern "C"
