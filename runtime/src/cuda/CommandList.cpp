#include "CommandList.h"

#include <cstring>

namespace rshard::runtime::cuda {

namespace {

enum class Kind : uint64_t { Launch, Copy, Fill };

// Without padding: lists are compared by their bytes.
struct LaunchCommand {
  static constexpr Kind kind = Kind::Launch;
  uint64_t kernel, blocks;
};
struct CopyCommand {
  static constexpr Kind kind = Kind::Copy;
  Address to, from;
  uint64_t bytes;
};
struct FillCommand {
  static constexpr Kind kind = Kind::Fill;
  Address to;
  uint64_t value, bytes;
};

/// Bytes of a parameter in the list.
size_t sizeOf(ParameterKind kind) {
  return kind == ParameterKind::Map       ? sizeof(TensorMap)
         : kind == ParameterKind::Pointer ? sizeof(Address)
                                          : sizeof(int32_t);
}

/// Takes a value off the front.
template <typename T> T take(std::span<std::byte> &rest) {
  T value;
  std::memcpy(&value, rest.data(), sizeof(T));
  rest = rest.subspan(sizeof(T));
  return value;
}

} // namespace

void CommandList::append(const void *data, size_t bytes) {
  // Room for many at once: most of them have 4 or 8 bytes.
  constexpr size_t more = 4096;
  if (encoded.size() - used < bytes)
    encoded.resize(2 * encoded.size() + bytes + more);
  std::memcpy(encoded.data() + used, data, bytes);
  used += bytes;
}

template <typename Command> void CommandList::append(const Command &command) {
  append(&Command::kind, sizeof(Kind));
  append(&command, sizeof(command));
}

void CommandList::launch(size_t kernel, Launch &launch) {
  append(LaunchCommand{kernel, launch.blocks()});
  void **values = launch.parameters();
  for (const KernelParameter &parameter : kernels[kernel].parameters)
    append(*values++, sizeOf(parameter.kind));
}

void CommandList::copy(Address to, Address from, uint64_t bytes) {
  append(CopyCommand{to, from, bytes});
}

void CommandList::fill(Address to, unsigned char value, uint64_t bytes) {
  append(FillCommand{to, value, bytes});
}

Expected<void> CommandList::enqueue(const DriverApi &api, const Module &module,
                                    StreamHandle stream) {
  for (std::span<std::byte> rest(encoded.data(), used); !rest.empty();) {
    Expected<void> done;
    switch (take<Kind>(rest)) {
    case Kind::Launch: {
      auto command = take<LaunchCommand>(rest);
      const KernelSpec &spec = kernels[command.kernel];
      pointers.clear();
      for (const KernelParameter &parameter : spec.parameters) {
        pointers.push_back(rest.data());
        rest = rest.subspan(sizeOf(parameter.kind));
      }
      LaunchAttribute overlap{programmaticStreamSerialization, {}, {}};
      overlap.value.number = 1;
      LaunchConfig config{.gridX = static_cast<unsigned>(command.blocks),
                          .gridY = 1,
                          .gridZ = 1,
                          .blockX = static_cast<unsigned>(spec.threads),
                          .blockY = 1,
                          .blockZ = 1,
                          .shared = static_cast<unsigned>(spec.shared),
                          .stream = stream,
                          .attributes = &overlap,
                          .attributeCount = 1};
      done = api.check(api.launch(&config, module.function(command.kernel),
                                  pointers.data(), nullptr),
                       spec.name.c_str());
      break;
    }
    case Kind::Copy: {
      auto command = take<CopyCommand>(rest);
      done = api.check(
          api.copyOnDevice(command.to, command.from, command.bytes, stream),
          "copying a message");
      break;
    }
    case Kind::Fill: {
      auto command = take<FillCommand>(rest);
      done = api.check(api.fill(command.to,
                                static_cast<unsigned char>(command.value),
                                command.bytes, stream),
                       "poisoning");
      break;
    }
    }
    if (!done)
      return done;
  }
  return {};
}

} // namespace rshard::runtime::cuda
