//===- DriverApi.h - The CUDA driver, loaded when it is needed
//--------------===//
//
// One runtime library serves machines with and without a GPU, so nothing here
// includes or links CUDA: the types and numbers are those of the driver API's
// stable ABI (cuda.h).
//
//===----------------------------------------------------------------------===//
#ifndef RSHARD_RUNTIME_SRC_CUDA_DRIVERAPI_H
#define RSHARD_RUNTIME_SRC_CUDA_DRIVERAPI_H

#include "rshard/tokenset/Expected.h"

#include <cstddef>
#include <cstdint>

namespace rshard::runtime::cuda {
using tokenset::Error;
using tokenset::Expected;

using Result = int; ///< CUresult: 0 is success
using DeviceNumber = int;
using Address = uint64_t; ///< CUdeviceptr
using ContextHandle = struct ContextRecord *;
using StreamHandle = struct StreamRecord *;
using ModuleHandle = struct ModuleRecord *;
using FunctionHandle = struct FunctionRecord *;
using GraphHandle = struct GraphRecord *;
using GraphExecHandle = struct GraphExecRecord *;

/// CUtensorMap: what the tensor memory accelerator reads.
struct alignas(64) TensorMap {
  std::byte opaque[128];
};

/// CUlaunchAttribute with the value that is used here.
struct alignas(8) LaunchAttribute {
  int id;
  char padding[4];
  union {
    char all[64];
    int number;
  } value;
};
static_assert(sizeof(LaunchAttribute) == 72);

/// CUlaunchConfig
struct LaunchConfig {
  unsigned gridX, gridY, gridZ, blockX, blockY, blockZ, shared;
  StreamHandle stream;
  LaunchAttribute *attributes;
  unsigned attributeCount;
};

// CUlaunchAttributeID: a kernel may start before the one in front of it in the
// stream has ended.
constexpr int programmaticStreamSerialization = 6;

// CUmemorytype, and the CUpointer_attribute that asks for it
constexpr unsigned hostMemory = 1;
constexpr unsigned deviceMemory = 2;
constexpr int memoryTypeOf = 2;

/// CUDA_MEMCPY2D: rows of `width` bytes.
struct RowCopy {
  struct End {
    size_t x = 0, y = 0;
    unsigned memory = 0;
    const void *host = nullptr;
    Address device = 0;
    void *array = nullptr;
    size_t pitch = 0;
  } from, to;
  size_t width = 0, rows = 0;
};

// CUdevice_attribute
constexpr int multiprocessorCount = 16;
constexpr int computeCapabilityMajor = 75;
constexpr int computeCapabilityMinor = 76;
// CUfunction_attribute
constexpr int maxDynamicSharedBytes = 8;
// CUstream_flags, CUstreamCaptureMode
constexpr unsigned nonBlocking = 1;
constexpr int captureThreadLocal = 1;
// CUjit_option
constexpr int jitErrorLog = 5;
constexpr int jitErrorLogBytes = 6;
// Results that mean something to the caller.
constexpr Result outOfMemory = 2;
constexpr Result invalidImage = 200;
constexpr Result noBinaryForGpu = 209;
constexpr Result unsupportedPtxVersion = 222;

/// The functions that the runtime calls: F(name, symbol, parameters).
#define RSHARD_CUDA_FUNCTIONS(F)                                               \
  F(getErrorString, cuGetErrorString, (Result, const char **))                 \
  F(init, cuInit, (unsigned flags))                                            \
  F(deviceGetCount, cuDeviceGetCount, (int *))                                 \
  F(deviceGet, cuDeviceGet, (DeviceNumber *, int ordinal))                     \
  F(deviceGetName, cuDeviceGetName, (char *, int size, DeviceNumber))          \
  F(deviceGetAttribute, cuDeviceGetAttribute,                                  \
    (int *, int attribute, DeviceNumber))                                      \
  F(contextRetain, cuDevicePrimaryCtxRetain, (ContextHandle *, DeviceNumber))  \
  F(contextRelease, cuDevicePrimaryCtxRelease_v2, (DeviceNumber))              \
  F(contextPush, cuCtxPushCurrent_v2, (ContextHandle))                         \
  F(contextPop, cuCtxPopCurrent_v2, (ContextHandle *))                         \
  F(memoryInfo, cuMemGetInfo_v2, (size_t *free, size_t *total))                \
  F(memoryAllocate, cuMemAlloc_v2, (Address *, size_t bytes))                  \
  F(memoryFree, cuMemFree_v2, (Address))                                       \
  F(hostAllocate, cuMemHostAlloc, (void **, size_t bytes, unsigned flags))     \
  F(hostFree, cuMemFreeHost, (void *))                                         \
  F(copyToDevice, cuMemcpyHtoDAsync_v2,                                        \
    (Address, const void *, size_t bytes, StreamHandle))                       \
  F(copyToHost, cuMemcpyDtoHAsync_v2,                                          \
    (void *, Address, size_t bytes, StreamHandle))                             \
  F(copyOnDevice, cuMemcpyDtoDAsync_v2,                                        \
    (Address to, Address from, size_t bytes, StreamHandle))                    \
  F(copyRows, cuMemcpy2DAsync_v2, (const RowCopy *, StreamHandle))             \
  F(pointerAttribute, cuPointerGetAttribute,                                   \
    (void *value, int attribute, Address))                                     \
  F(fill, cuMemsetD8Async,                                                     \
    (Address, unsigned char, size_t bytes, StreamHandle))                      \
  F(streamCreate, cuStreamCreate, (StreamHandle *, unsigned flags))            \
  F(streamDestroy, cuStreamDestroy_v2, (StreamHandle))                         \
  F(streamSynchronize, cuStreamSynchronize, (StreamHandle))                    \
  F(captureBegin, cuStreamBeginCapture_v2, (StreamHandle, int mode))           \
  F(captureEnd, cuStreamEndCapture, (StreamHandle, GraphHandle *))             \
  F(graphInstantiate, cuGraphInstantiateWithFlags,                             \
    (GraphExecHandle *, GraphHandle, unsigned long long flags))                \
  F(graphLaunch, cuGraphLaunch, (GraphExecHandle, StreamHandle))               \
  F(graphExecDestroy, cuGraphExecDestroy, (GraphExecHandle))                   \
  F(graphDestroy, cuGraphDestroy, (GraphHandle))                               \
  F(moduleLoad, cuModuleLoadDataEx,                                            \
    (ModuleHandle *, const void *image, unsigned options, int *, void **))     \
  F(moduleUnload, cuModuleUnload, (ModuleHandle))                              \
  F(moduleGetFunction, cuModuleGetFunction,                                    \
    (FunctionHandle *, ModuleHandle, const char *name))                        \
  F(functionSetAttribute, cuFuncSetAttribute,                                  \
    (FunctionHandle, int attribute, int value))                                \
  F(launch, cuLaunchKernelEx,                                                  \
    (const LaunchConfig *, FunctionHandle, void **parameters, void **extra))   \
  F(encodeTiled, cuTensorMapEncodeTiled,                                       \
    (TensorMap *, int type, uint32_t rank, void *address,                      \
     const uint64_t *extents, const uint64_t *strides, const uint32_t *box,    \
     const uint32_t *elementStrides, int interleave, int swizzle,              \
     int l2Promotion, int outOfBoundsFill))

struct DriverApi {
#define RSHARD_CUDA_FIELD(name, symbol, parameters)                            \
  Result(*name) parameters = nullptr;
  RSHARD_CUDA_FUNCTIONS(RSHARD_CUDA_FIELD)
#undef RSHARD_CUDA_FIELD

  /// The process's driver, loaded and initialised by the first call; it stays
  /// loaded. Errors: no driver on this machine, one that lacks a function, or
  /// one that finds no GPU.
  static Expected<const DriverApi *> get();

  /// Success, or "WHAT: the driver's text for the result".
  Expected<void> check(Result result, const char *what) const;
};

} // namespace rshard::runtime::cuda

#endif
