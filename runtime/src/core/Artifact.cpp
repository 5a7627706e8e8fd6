#include "rshard/runtime/Artifact.h"
#include "HostCodeImports.h"
#include "rshard/runtime/AtomicFile.h"
#include "rshard/runtime/Hash.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

namespace rshard::runtime {
namespace fs = std::filesystem;

namespace {

constexpr std::string_view magic = "RSHARDAR";
constexpr uint32_t formatVersion = 1;
constexpr uint32_t maxSections = 64;
constexpr size_t hashText =
    64; ///< hexadecimal, so that a damaged table is readable too

struct FileHeader {
  char magic[8];
  uint32_t version;
  uint32_t sections;
  uint64_t fileSize;
  char tableHash[hashText];
};

struct SectionEntry {
  char name[16]; ///< zero padded
  uint64_t offset;
  uint64_t size;
  char hash[hashText];
};
static_assert(sizeof(FileHeader) == 88 && sizeof(SectionEntry) == 96);

constexpr uint64_t align(uint64_t offset) { return (offset + 63) / 64 * 64; }

} // namespace

Expected<void> writeArtifact(const fs::path &path, const Manifest &manifest,
                             std::span<const std::byte> host,
                             std::string_view ir, const DeviceCode &device) {
  std::string manifestText = manifest.toJson();
  auto bytesOf = [](std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
  };
  std::vector<std::pair<std::string_view, std::span<const std::byte>>> sections{
      {"manifest", bytesOf(manifestText)}, {"host", host}};
  if (manifest.target.name == "cuda") {
    sections.emplace_back("cubin", device.cubin);
    sections.emplace_back("ptx", bytesOf(device.ptx));
  }
  sections.emplace_back("ir", bytesOf(ir));
  std::vector<SectionEntry> table(sections.size());
  FileHeader header{};
  uint64_t offset = align(sizeof(header) + table.size() * sizeof(SectionEntry));
  for (size_t i = 0; i != sections.size(); ++i) {
    auto &[name, bytes] = sections[i];
    std::copy(name.begin(), name.end(), table[i].name);
    table[i].offset = offset;
    table[i].size = bytes.size();
    std::memcpy(table[i].hash, sha256(bytes).data(), hashText);
    offset = align(offset + bytes.size());
  }
  std::copy(magic.begin(), magic.end(), header.magic);
  header.version = formatVersion;
  header.sections = static_cast<uint32_t>(table.size());
  header.fileSize = offset;
  std::memcpy(header.tableHash, sha256(std::as_bytes(std::span(table))).data(),
              hashText);

  static constexpr std::array<std::byte, 64> zeros{};
  std::vector<std::span<const std::byte>> pieces;
  uint64_t at = 0;
  auto put = [&](std::span<const std::byte> bytes) {
    pieces.push_back(bytes);
    at += bytes.size();
  };
  auto pad = [&] { put(std::span(zeros).first(align(at) - at)); };
  put(std::as_bytes(std::span(&header, 1)));
  put(std::as_bytes(std::span(table)));
  pad();
  for (auto &[name, bytes] : sections) {
    put(bytes);
    pad();
  }
  return writeFileAtomically(path, pieces);
}

Expected<Artifact> Artifact::inspect(const fs::path &path) {
  Artifact out;
  out.file = path;
  out.title = path.string();
  Expected<MappedFile> map = MappedFile::open(path);
  if (!map)
    return map.error();
  out.map = std::move(*map);
  std::span<const std::byte> bytes = out.map.bytes();
  std::string name = path.string();
  auto damaged = [&](const std::string &what) {
    return Error{name + ": damaged artifact: " + what};
  };

  FileHeader header;
  if (bytes.size() < magic.size() ||
      out.map.text().substr(0, magic.size()) != magic)
    return Error{name + ": not an rshard artifact"};
  if (bytes.size() < sizeof(header))
    return damaged("cut off in its header");
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (header.version != formatVersion)
    return Error{name + ": artifact format " + std::to_string(header.version) +
                 ", this program reads " + std::to_string(formatVersion) +
                 ": compile the model again"};
  if (header.fileSize != bytes.size())
    return damaged(std::to_string(bytes.size()) + " bytes, its header says " +
                   std::to_string(header.fileSize));
  if (header.sections > maxSections ||
      header.sections * sizeof(SectionEntry) > bytes.size() - sizeof(header))
    return damaged(std::to_string(header.sections) + " sections");
  std::span<const std::byte> tableBytes =
      bytes.subspan(sizeof(header), header.sections * sizeof(SectionEntry));
  auto matches = [](std::span<const std::byte> content, const char *hash) {
    return sha256(content) == std::string_view(hash, hashText);
  };
  if (!matches(tableBytes, header.tableHash))
    return damaged("section table does not have its hash");

  std::string_view manifestText;
  std::string irHash;
  bool haveHost = false, haveIr = false, havePtx = false;
  uint64_t end = sizeof(header) + tableBytes.size();
  // What no hash covers is zero up to the next multiple of 64.
  auto padded = [&] {
    std::span<const std::byte> padding =
        bytes.subspan(end, std::min(align(end), bytes.size()) - end);
    return std::all_of(padding.begin(), padding.end(),
                       [](std::byte value) { return value == std::byte(0); });
  };
  for (uint32_t i = 0; i != header.sections; ++i) {
    SectionEntry entry;
    std::memcpy(&entry, tableBytes.data() + i * sizeof(entry), sizeof(entry));
    std::string section(entry.name, ::strnlen(entry.name, sizeof(entry.name)));
    if (!padded())
      return damaged("padding before section " + section + " is not zero");
    if (entry.offset != align(end))
      return damaged("section " + section + " begins at byte " +
                     std::to_string(entry.offset) + " vs " +
                     std::to_string(align(end)));
    if (entry.offset > bytes.size() || entry.size > bytes.size() - entry.offset)
      return damaged("section " + section + " lies outside the file");
    end = entry.offset + entry.size;
    std::span<const std::byte> content =
        bytes.subspan(entry.offset, entry.size);
    if (!matches(content, entry.hash))
      return damaged("section " + section + " does not have its hash");
    std::string_view text = out.map.text().substr(entry.offset, entry.size);
    if (section == "manifest") {
      manifestText = text;
    } else if (section == "host") {
      out.code = content;
      out.codeHash = std::string(entry.hash, hashText);
      haveHost = true;
    } else if (section == "cubin") {
      out.kernels.cubin = content;
    } else if (section == "ptx") {
      out.kernels.ptx = text;
      havePtx = true;
    } else if (section == "ir") {
      out.irText = text;
      irHash = std::string(entry.hash, hashText);
      haveIr = true;
    } else {
      return damaged("unknown section \"" + section + "\"");
    }
  }
  if (!padded())
    return damaged("padding behind the sections is not zero");
  if (bytes.size() != align(end))
    return damaged(std::to_string(bytes.size()) +
                   " bytes, its sections end at " + std::to_string(align(end)));
  if (manifestText.empty() || !haveHost || !haveIr)
    return damaged("a section is missing");
  Expected<Manifest> manifest = Manifest::fromJson(manifestText);
  if (!manifest)
    return Error{name + ": " + manifest.error().message};
  out.contents = std::move(*manifest);
  if (out.contents.hashes.ir != irHash)
    return damaged("section ir hashes to " + irHash.substr(0, 16) +
                   ", its manifest names \"" +
                   out.contents.hashes.ir.substr(0, 16) + "\"");
  bool cuda = out.contents.target.name == "cuda";
  if (cuda && out.kernels.cubin.empty())
    return Error{name + ": artifact for target \"cuda\" without kernels: "
                        "section cubin is missing or empty"};
  if (cuda != havePtx || (!cuda && !out.kernels.cubin.empty()))
    return damaged(cuda ? "section ptx is missing"
                        : "kernels of a device for target \"" +
                              out.contents.target.name + "\"");
  return out;
}

Expected<Artifact> Artifact::open(const fs::path &path) {
  Expected<Artifact> out = inspect(path);
  if (!out)
    return out;
  const TargetInfo &target = out->contents.target;
  if (target.name != "cpu" && target.name != "cuda")
    return Error{path.string() + ": artifact for target \"" + target.name +
                 "\", this runtime has \"cpu\" and \"cuda\""};
  if (std::string missing = missingCpuFeature(target.features);
      !missing.empty())
    return Error{path.string() + ": artifact for " + target.cpu +
                 " needs the CPU feature " + missing +
                 ", which this machine lacks: compile with another --cpu"};
  return out;
}

Expected<void> Artifact::checkModel(std::string_view identity,
                                    std::string_view content) const {
  if (contents.hashes.model != identity)
    return Error{title +
                 ": compiled for another model: configuration and tensor table "
                 "hash to " +
                 std::string(identity).substr(0, 16) +
                 ", the artifact requires " +
                 contents.hashes.model.substr(0, 16)};
  if (!contents.hashes.content.empty() && !content.empty() &&
      contents.hashes.content != content)
    return Error{title + ": compiled for other weights: they hash to " +
                 std::string(content).substr(0, 16) +
                 ", the artifact requires " +
                 contents.hashes.content.substr(0, 16)};
  return {};
}

Expected<std::shared_ptr<const HostCode>>
HostCode::load(std::span<const std::byte> elf) {
  std::shared_ptr<HostCode> out(new HostCode);
  out->descriptor = ::memfd_create("rshard-host-code", MFD_CLOEXEC);
  if (out->descriptor < 0)
    return Error{std::string("host code: cannot create a memory file: ") +
                 std::strerror(errno)};
  for (std::span<const std::byte> rest = elf; !rest.empty();) {
    ssize_t written = ::write(out->descriptor, rest.data(), rest.size());
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return Error{std::string("host code: cannot fill the memory file: ") +
                   std::strerror(errno)};
    rest = rest.subspan(static_cast<size_t>(written));
  }
  // The loader knows libraries by path, so the descriptor stays open, and its
  // number ours, until the library is closed.
  std::string path = "/proc/self/fd/" + std::to_string(out->descriptor);
  out->library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!out->library)
    return Error{std::string("host code: ") + ::dlerror()};
  out->entry = reinterpret_cast<rshard_step_fn>(
      ::dlsym(out->library, RSHARD_STEP_SYMBOL));
  if (!out->entry)
    return Error{"host code: no symbol " RSHARD_STEP_SYMBOL};
  auto *imports = static_cast<rshard_import_table *>(
      ::dlsym(out->library, RSHARD_IMPORTS_SYMBOL));
  if (!imports)
    return Error{"host code: no symbol " RSHARD_IMPORTS_SYMBOL};
  *imports = hostCodeImports();
  return std::shared_ptr<const HostCode>(std::move(out));
}

HostCode::~HostCode() {
  if (library)
    ::dlclose(library);
  if (descriptor >= 0)
    ::close(descriptor);
}

} // namespace rshard::runtime
