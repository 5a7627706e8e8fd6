#include "rshard/runtime/Npy.h"
#include "rshard/runtime/AtomicFile.h"
#include "rshard/runtime/MappedFile.h"

#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <string>

namespace rshard::runtime {
namespace fs = std::filesystem;

namespace {

constexpr std::string_view magic{"\x93NUMPY", 6};

Expected<void> write(const fs::path &path, const std::string &description,
                     const std::string &shape,
                     std::span<const std::byte> data) {
  std::string header = "{'descr': '" + description +
                       "', 'fortran_order': False, 'shape': " + shape + ", }";
  // Magic, version, length and header are a multiple of 64 together; the header
  // ends in a newline.
  size_t size = (magic.size() + 4 + header.size() + 1 + 63) / 64 * 64;
  header.append(size - magic.size() - 4 - header.size() - 1, ' ');
  header += '\n';
  std::string start(magic);
  start += {'\x01', '\0', static_cast<char>(header.size() & 255),
            static_cast<char>(header.size() >> 8)};
  start += header;
  std::array<std::span<const std::byte>, 2> pieces{
      std::as_bytes(std::span(start)), data};
  return writeFileAtomically(path, pieces);
}

/// The text of one value of the header's dictionary: after "'key':", up to the
/// comma or closing bracket that ends it.
std::string_view headerValue(std::string_view header, std::string_view key) {
  std::string quoted = "'" + std::string(key) + "'";
  size_t at = header.find(quoted);
  if (at == std::string_view::npos)
    return {};
  at = header.find(':', at);
  if (at == std::string_view::npos)
    return {};
  at = header.find_first_not_of(' ', at + 1);
  if (at == std::string_view::npos)
    return {};
  size_t end = header[at] == '(' ? header.find(')', at) + 1
                                 : header.find_first_of(",}", at);
  if (end == std::string_view::npos || end == 0)
    return {};
  return header.substr(at, end - at);
}

} // namespace

Expected<void> writeNpy(const fs::path &path, std::span<const float> values,
                        int64_t rows, int64_t width) {
  if (rows < 0 || width < 0 ||
      static_cast<uint64_t>(rows) * static_cast<uint64_t>(width) !=
          values.size())
    return Error{path.string() + ": " + std::to_string(values.size()) +
                 " values are not [" + std::to_string(rows) + ", " +
                 std::to_string(width) + "]"};
  return write(path, "<f4",
               "(" + std::to_string(rows) + ", " + std::to_string(width) + ")",
               std::as_bytes(values));
}

Expected<void> writeNpy(const fs::path &path, std::span<const int32_t> values) {
  return write(path, "<i4", "(" + std::to_string(values.size()) + ",)",
               std::as_bytes(values));
}

Expected<std::vector<int32_t>> readNpyIntegers(const fs::path &path) {
  Expected<MappedFile> map = MappedFile::open(path);
  if (!map)
    return map.error();
  std::string name = path.string();
  std::string_view text = map->text();
  if (text.size() < 10 || text.substr(0, magic.size()) != magic)
    return Error{name + ": not a NumPy file"};
  auto byte = [&](size_t at) {
    return static_cast<size_t>(static_cast<unsigned char>(text[at]));
  };
  size_t version = byte(6), start = version == 1 ? 10 : 12;
  if (version < 1 || version > 3 || text.size() < start)
    return Error{name + ": NumPy format version " + std::to_string(version) +
                 ", 1 to 3 are known"};
  size_t length = byte(8) | byte(9) << 8;
  if (version > 1)
    length |= byte(10) << 16 | byte(11) << 24;
  if (length > text.size() - start)
    return Error{name + ": truncated in its header"};
  std::string_view header = text.substr(start, length),
                   data = text.substr(start + length);

  std::string_view type = headerValue(header, "descr");
  if (type.size() != 5 || type.front() != '\'' || type.back() != '\'' ||
      (type[2] != 'i' && type[2] != 'u') ||
      std::string_view("1248").find(type[3]) == std::string_view::npos ||
      std::string_view("<>|=").find(type[1]) == std::string_view::npos)
    return Error{name + ": holds " +
                 (type.empty() ? "no type" : std::string(type)) +
                 ", integers are required"};
  std::string_view shape = headerValue(header, "shape");
  // "(5,)": one dimension, and a comma that ends the tuple.
  size_t comma = shape.find(',');
  if (shape.size() < 4 || comma == std::string_view::npos ||
      comma + 2 != shape.size())
    return Error{name + ": shape " + std::string(shape) +
                 ", one dimension is required"};
  uint64_t count = 0;
  for (char c : shape.substr(1, comma - 1)) {
    if (c < '0' || c > '9' ||
        count > std::numeric_limits<uint64_t>::max() / 100)
      return Error{name + ": shape " + std::string(shape) + " is malformed"};
    count = count * 10 + static_cast<uint64_t>(c - '0');
  }
  size_t width = static_cast<size_t>(type[3] - '0');
  if (count > data.size() / width || count * width != data.size())
    return Error{name + ": " + std::to_string(data.size()) +
                 " bytes of data, but " + std::to_string(count) +
                 " integers of " + std::to_string(width) +
                 " bytes are declared"};

  std::vector<int32_t> values;
  values.reserve(count);
  bool isSigned = type[2] == 'i', swap = type[1] == '>';
  for (uint64_t i = 0; i != count; ++i) {
    uint64_t raw = 0;
    for (size_t b = 0; b != width; ++b) {
      auto part = static_cast<uint64_t>(
          static_cast<unsigned char>(data[i * width + b]));
      raw |= part << 8 * (swap ? width - 1 - b : b);
    }
    bool negative = isSigned && (raw >> (8 * width - 1) & 1);
    if (negative && width < 8)
      raw |= ~uint64_t(0) << 8 * width;
    int64_t value = static_cast<int64_t>(raw);
    if ((!isSigned && raw > INT32_MAX) || value > INT32_MAX ||
        value < INT32_MIN)
      return Error{name + ": element " + std::to_string(i) +
                   " does not fit 32 bits"};
    values.push_back(static_cast<int32_t>(value));
  }
  return values;
}

} // namespace rshard::runtime
