#include "rshard/runtime/Hash.h"
#include "StrictJson.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <time.h>
#include <tuple>
#include <unistd.h>

namespace rshard::runtime {
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

/// A running SHA-256.
class Digest {
public:
  Digest() : context(EVP_MD_CTX_new()) {
    EVP_DigestInit_ex(context, EVP_sha256(), nullptr);
  }
  ~Digest() { EVP_MD_CTX_free(context); }
  Digest(const Digest &) = delete;
  Digest &operator=(const Digest &) = delete;
  void add(const void *data, size_t size) {
    EVP_DigestUpdate(context, data, size);
  }
  std::string hex() {
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    EVP_DigestFinal_ex(context, raw, &length);
    static constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (unsigned i = 0; i != length; ++i) {
      text += digits[raw[i] >> 4];
      text += digits[raw[i] & 15];
    }
    return text;
  }

private:
  EVP_MD_CTX *context;
};

bool isHash(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

std::string timeText(const timespec &time) {
  return std::to_string(time.tv_sec) + '.' + std::to_string(time.tv_nsec);
}

/// Where the hash of a file is kept; empty if there is no cache or the file
/// cannot be examined. Of what names the state of a file, only the time of its
/// last change cannot be set: another file may have the size and the time of
/// modification of the one whose place it takes.
fs::path cacheEntry(const fs::path &path) {
  fs::path directory = cacheDirectory();
  struct stat status;
  if (directory.empty() || ::stat(path.c_str(), &status) != 0)
    return {};
  // The clock of file systems moves in steps: a change within the step of the
  // last one would not show.
  timespec now;
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  if (std::tie(status.st_ctim.tv_sec, status.st_ctim.tv_nsec) >=
      std::tie(now.tv_sec, now.tv_nsec))
    return {};
  std::error_code code;
  std::string key = fs::absolute(path, code).lexically_normal().string();
  for (uint64_t number : {status.st_dev, status.st_ino})
    key += '\n' + std::to_string(number);
  key += '\n' + std::to_string(status.st_size) + '\n' +
         timeText(status.st_mtim) + '\n' + timeText(status.st_ctim);
  return directory / "sha256" / sha256(key);
}

/// A cache that cannot be written is no error: the hash is computed again next
/// time.
void remember(const fs::path &entry, const std::string &hash) {
  std::error_code code;
  fs::create_directories(entry.parent_path(), code);
  fs::path partial = entry;
  partial += "." + std::to_string(::getpid());
  {
    std::ofstream out(partial, std::ios::binary);
    out << hash;
    if (!out)
      return;
  }
  fs::rename(partial, entry, code);
  if (code)
    fs::remove(partial, code);
}

} // namespace

std::string sha256(std::span<const std::byte> bytes) {
  Digest digest;
  digest.add(bytes.data(), bytes.size());
  return digest.hex();
}

std::string sha256(std::string_view text) {
  return sha256(std::as_bytes(std::span(text.data(), text.size())));
}

fs::path cacheDirectory() {
  if (const char *base = std::getenv("XDG_CACHE_HOME"); base && *base == '/')
    return fs::path(base) / "rshard";
  if (const char *home = std::getenv("HOME"); home && *home)
    return fs::path(home) / ".cache" / "rshard";
  return {};
}

Expected<std::string> modelIdentity(std::string_view configJson,
                                    const SafeTensors &tensors) {
  Expected<json> config = parseStrictJson(configJson);
  if (!config)
    return Error{"config.json: " + config.error().message};
  if (!config->is_object())
    return Error{"config.json: not a JSON object"};
  json table = json::array();
  for (const Tensor &tensor : tensors.tensors())
    table.push_back(json::array(
        {tensor.name, std::string(dtypeName(tensor.type)), tensor.shape}));
  json identity = json::object();
  identity["config"] = std::move(*config);
  identity["tensors"] = std::move(table);
  return sha256(canonicalJson(identity));
}

Expected<std::string> contentHash(const SafeTensors &tensors,
                                  const Progress &progress) {
  uint64_t total = 0, done = 0;
  std::vector<uint64_t> sizes;
  for (const fs::path &path : tensors.files()) {
    std::error_code code;
    sizes.push_back(fs::file_size(path, code));
    if (code)
      return Error{path.string() + ": " + code.message()};
    total += sizes.back();
  }
  Digest whole;
  using Clock = std::chrono::steady_clock;
  Clock::time_point last = Clock::now();
  for (size_t file = 0; file != sizes.size(); ++file) {
    const fs::path &path = tensors.files()[file];
    fs::path entry = cacheEntry(path);
    std::string hash;
    if (!entry.empty()) {
      std::ifstream in(entry, std::ios::binary);
      in >> hash;
    }
    if (!isHash(hash)) {
      Expected<MappedFile> map = MappedFile::open(path);
      if (!map)
        return map.error();
      Digest digest;
      constexpr size_t block = size_t(8) << 20;
      std::span<const std::byte> bytes = map->bytes();
      for (size_t at = 0; at < bytes.size(); at += block) {
        size_t size = std::min(block, bytes.size() - at);
        digest.add(bytes.data() + at, size);
        if (progress && Clock::now() - last > std::chrono::milliseconds(200)) {
          last = Clock::now();
          progress(done + at + size, total);
        }
      }
      hash = digest.hex();
      // Only if the file is still the one that was examined.
      if (!entry.empty() && entry == cacheEntry(path))
        remember(entry, hash);
    }
    done += sizes[file];
    whole.add(hash.data(), hash.size());
  }
  if (progress)
    progress(total, total);
  return whole.hex();
}

} // namespace rshard::runtime
