//===- Context.h - A GPU of this machine and its memory
//---------------------===//
#ifndef RSHARD_RUNTIME_SRC_CUDA_CONTEXT_H
#define RSHARD_RUNTIME_SRC_CUDA_CONTEXT_H

#include "DriverApi.h"

#include <memory>
#include <span>
#include <string>

namespace rshard::runtime::cuda {

/// The device's primary context, which it shares with everybody in the process
/// who uses the CUDA runtime. Whatever lies in the device's memory keeps it
/// alive.
class Context : public std::enable_shared_from_this<Context> {
public:
  /// `ordinal` counts the devices that the driver shows (CUDA_VISIBLE_DEVICES).
  /// Errors: no driver, no such device, or one that cannot run code for `chip`
  /// ("sm_90a").
  static Expected<std::shared_ptr<Context>> create(int ordinal,
                                                   const std::string &chip);
  /// Finds the device, and takes nothing of it. Same errors.
  static Expected<std::shared_ptr<Context>> find(int ordinal,
                                                 const std::string &chip);
  ~Context();
  Context(const Context &) = delete;
  Context &operator=(const Context &) = delete;

  /// "device 0 (NVIDIA H200)"
  const std::string &name() const { return title; }
  int ordinal() const { return number; }
  int multiprocessors() const { return processors; }
  const DriverApi &driver() const { return api; }

  /// Not initialised.
  Expected<std::shared_ptr<std::byte>> allocate(uint64_t bytes);
  /// Page-locked memory of the host, for copies that do not wait.
  Expected<std::shared_ptr<std::byte>> allocateHost(uint64_t bytes);
  /// Bytes that an allocation can still get.
  Expected<uint64_t> freeBytes();

  /// Makes the context the calling thread's, as long as this lives.
  class Use {
  public:
    explicit Use(const Context &context) : api(context.api) {
      api.contextPush(context.handle);
    }
    ~Use() {
      ContextHandle mine;
      api.contextPop(&mine);
    }
    Use(const Use &) = delete;
    Use &operator=(const Use &) = delete;

  private:
    const DriverApi &api;
  };

private:
  explicit Context(const DriverApi &api) : api(api) {}

  const DriverApi &api;
  int number = 0;
  DeviceNumber device = 0;
  ContextHandle handle = nullptr;
  int processors = 0;
  std::string title;
};

/// A queue of a context: what is put in runs in order, beside the host.
class Stream {
public:
  static Expected<Stream> create(std::shared_ptr<Context> context);
  Stream() = default;
  Stream(Stream &&other) noexcept { *this = std::move(other); }
  Stream &operator=(Stream &&other) noexcept {
    std::swap(context, other.context);
    std::swap(handle, other.handle);
    return *this;
  }
  ~Stream();
  StreamHandle get() const { return handle; }

private:
  std::shared_ptr<Context> context;
  StreamHandle handle = nullptr;
};

inline Address addressOf(const void *data) {
  return reinterpret_cast<uintptr_t>(data);
}

} // namespace rshard::runtime::cuda

#endif
