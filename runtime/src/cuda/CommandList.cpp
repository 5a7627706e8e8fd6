#include "CommandList.h"

#include <cstring>

namespace rshard::runtime::cuda {

namespace {

/// Bytes of a parameter in the list, padded.
size_t sizeOf(ParameterKind kind) {
  return kind == ParameterKind::Map       ? sizeof(TensorMap)
         : kind == ParameterKind::Pointer ? sizeof(Address)
                                          : sizeof(int32_t);
}

} // namespace

void CommandList::append(const void *data, size_t bytes) {
  auto *begin = static_cast<const std::byte *>(data);
  encoded.insert(encoded.end(), begin, begin + bytes);
}

void CommandList::launch(size_t kernel, Launch &launch) {
  Header header{Kind::Launch, kernel, launch.blocks(), 0, 0};
  append(&header, sizeof(header));
  void **values = launch.parameters();
  for (const KernelParameter &parameter : kernels[kernel].parameters)
    append(*values++, sizeOf(parameter.kind));
}

void CommandList::copy(Address to, Address from, uint64_t bytes) {
  Header header{Kind::Copy, 0, from, to, bytes};
  append(&header, sizeof(header));
}

void CommandList::fill(Address to, unsigned char value, uint64_t bytes) {
  Header header{Kind::Fill, value, 0, to, bytes};
  append(&header, sizeof(header));
}

Expected<void> CommandList::enqueue(const DriverApi &api, const Module &module,
                                    StreamHandle stream) {
  for (size_t at = 0; at != encoded.size();) {
    Header header;
    std::memcpy(&header, encoded.data() + at, sizeof(header));
    at += sizeof(header);
    Expected<void> done;
    switch (header.kind) {
    case Kind::Launch: {
      const KernelSpec &spec = kernels[header.kernel];
      pointers.clear();
      for (const KernelParameter &parameter : spec.parameters) {
        pointers.push_back(encoded.data() + at);
        at += sizeOf(parameter.kind);
      }
      done = api.check(api.launch(module.function(header.kernel),
                                  static_cast<unsigned>(header.blocks), 1, 1,
                                  static_cast<unsigned>(spec.threads), 1, 1,
                                  static_cast<unsigned>(spec.shared), stream,
                                  pointers.data(), nullptr),
                       spec.name.c_str());
      break;
    }
    case Kind::Copy:
      done = api.check(
          api.copyOnDevice(header.address, header.blocks, header.bytes, stream),
          "copying a message");
      break;
    case Kind::Fill:
      done = api.check(api.fill(header.address,
                                static_cast<unsigned char>(header.kernel),
                                header.bytes, stream),
                       "poisoning");
      break;
    }
    if (!done)
      return done;
  }
  return {};
}

} // namespace rshard::runtime::cuda
