//===- Artifact.h - The compiled program as one file
//------------------------===//
//
// Layout, little-endian: "RSHARDAR", u32 version, u32 sections, u64 file size,
// SHA-256 of the section table, the table (name 16 bytes, u64 offset, u64 size,
// SHA-256 of the bytes), then the sections in the table's order, each at the
// next multiple of 64; bytes between them are zero. A SHA-256 is 64 hexadecimal
// digits. Sections: "manifest" (JSON), "host" (ELF shared object), for the
// target cuda "cubin" and "ptx" (text), "ir" (text).
//
//===----------------------------------------------------------------------===//
#ifndef RSHARD_RUNTIME_ARTIFACT_H
#define RSHARD_RUNTIME_ARTIFACT_H

#include "rshard/runtime/ABI.h"
#include "rshard/runtime/Manifest.h"
#include "rshard/runtime/MappedFile.h"

#include <memory>
#include <span>

namespace rshard::runtime {

/// The kernels of a device, all in one module.
struct DeviceCode {
  std::span<const std::byte> cubin;
  std::string_view ptx;
};

/// Writes the container, to a file beside `path` first, so that nothing
/// half-written is ever found under that name. The same input gives the same
/// bytes (C9). `device`: for the target cuda.
Expected<void> writeArtifact(const std::filesystem::path &path,
                             const Manifest &manifest,
                             std::span<const std::byte> host,
                             std::string_view ir,
                             const DeviceCode &device = {});

/// Host code, mapped for execution as long as this object lives.
class HostCode {
public:
  ~HostCode();
  HostCode(const HostCode &) = delete;
  HostCode &operator=(const HostCode &) = delete;
  rshard_step_fn step() const { return entry; }

  /// `elf`: a shared object that exports `rshard_step`. Every import must
  /// resolve.
  static Expected<std::shared_ptr<const HostCode>>
  load(std::span<const std::byte> elf);

private:
  HostCode() = default;
  void *library = nullptr;
  int descriptor = -1;
  rshard_step_fn entry = nullptr;
};

/// An artifact whose structure, hashes and versions have been checked. Its code
/// is not mapped until a session wants it.
class Artifact {
public:
  /// Refuses damaged or foreign files, other versions, and machines that lack a
  /// CPU feature.
  static Expected<Artifact> open(const std::filesystem::path &path);
  /// As open, but a machine without the features is no error: for looking
  /// inside.
  static Expected<Artifact> inspect(const std::filesystem::path &path);

  const std::filesystem::path &path() const { return file; }
  /// What messages call it: its path, unless it stands for something that the
  /// user knows by another name.
  const std::string &name() const { return title; }
  void setName(std::string name) { title = std::move(name); }
  const Manifest &manifest() const { return contents; }
  std::span<const std::byte> host() const { return code; }
  std::string_view ir() const { return irText; }
  /// Empty for the CPU.
  const DeviceCode &device() const { return kernels; }
  /// SHA-256 of the host section.
  const std::string &hostHash() const { return codeHash; }

  /// C10: refuses a model whose identity is not the one the artifact was
  /// compiled for.
  Expected<void> checkModel(std::string_view identity,
                            std::string_view content) const;

private:
  std::filesystem::path file;
  std::string title;
  MappedFile map;
  Manifest contents;
  std::span<const std::byte> code;
  std::string_view irText;
  DeviceCode kernels;
  std::string codeHash;
};

/// The first of `features` (LLVM's names) that this machine lacks; empty if it
/// has them all.
std::string missingCpuFeature(std::span<const std::string> features);

} // namespace rshard::runtime

#endif
