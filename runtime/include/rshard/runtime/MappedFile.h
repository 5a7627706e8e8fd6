//===- MappedFile.h - A file mapped read-only
//-------------------------------===//
#ifndef RSHARD_RUNTIME_MAPPEDFILE_H
#define RSHARD_RUNTIME_MAPPEDFILE_H

#include "rshard/tokenset/Expected.h"

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace rshard::runtime {

/// A regular file, mapped private and read-only. Moving keeps the address.
class MappedFile {
public:
  static tokenset::Expected<MappedFile> open(const std::filesystem::path &path);

  MappedFile() = default;
  MappedFile(MappedFile &&other) noexcept;
  MappedFile &operator=(MappedFile &&other) noexcept;
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {address, length}; }
  std::string_view text() const {
    return {reinterpret_cast<const char *>(address), length};
  }

private:
  const std::byte *address = nullptr;
  size_t length = 0;
};

} // namespace rshard::runtime

#endif
