// A directory for one test's files, and safetensors files made by hand.

#ifndef RSHARD_TEST_UNIT_RUNTIME_TESTFILES_H
#define RSHARD_TEST_UNIT_RUNTIME_TESTFILES_H

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace rshard::runtime {

/// Removed with everything in it.
class TestDirectory {
public:
  TestDirectory() {
    std::string name =
        (std::filesystem::temp_directory_path() / "rshard-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~TestDirectory() { std::filesystem::remove_all(path); }
  std::filesystem::path operator/(const std::string &name) const {
    return path / name;
  }
  std::filesystem::path write(const std::string &name,
                              const std::string &bytes) const {
    std::ofstream(path / name, std::ios::binary) << bytes;
    return path / name;
  }
  std::filesystem::path path;
};

inline std::string readAll(const std::filesystem::path &path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Header length, header, data.
inline std::string safeTensors(const std::string &header,
                               const std::string &data = "") {
  uint64_t size = header.size();
  std::string out(8, '\0');
  std::memcpy(out.data(), &size, 8);
  return out + header + data;
}

inline std::string bytesOf(const std::vector<float> &values) {
  std::string out(values.size() * 4, '\0');
  std::memcpy(out.data(), values.data(), out.size());
  return out;
}

} // namespace rshard::runtime

#endif
