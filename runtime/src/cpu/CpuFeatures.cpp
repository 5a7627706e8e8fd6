#include "rshard/runtime/Artifact.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <set>
#include <sstream>

namespace rshard::runtime {

namespace {

/// Names whose spelling by LLVM and by Linux differ in more than punctuation.
constexpr std::array<std::pair<std::string_view, std::string_view>, 13>
    linuxNames{{{"bmi", "bmi1"},
                {"lzcnt", "abm"},
                {"pclmul", "pclmulqdq"},
                {"sse3", "pni"},
                {"rdrnd", "rdrand"},
                {"sahf", "lahflm"},
                {"sha", "shani"},
                {"prfchw", "3dnowprefetch"},
                {"crc32", "sse42"},
                {"64bit", "lm"},
                {"x87", "fpu"},
                {"shstk", "usershstk"},
                {"pku", "ospke"}}};

std::string plain(std::string_view name) {
  std::string text;
  for (char c : name)
    if (c != '_' && c != '-' && c != '.' && c != '+')
      text += c;
  return text;
}

/// What the kernel lets programs use, which is less than what CPUID says where
/// the operating system does not save the state.
std::set<std::string> machineFlags() {
  std::set<std::string> flags;
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (line.compare(0, 5, "flags") != 0)
      continue;
    std::istringstream words(line.substr(line.find(':') + 1));
    for (std::string word; words >> word;)
      flags.insert(plain(word));
    break;
  }
  return flags;
}

} // namespace

std::string missingCpuFeature(std::span<const std::string> features) {
  if (features.empty())
    return {};
  std::set<std::string> flags = machineFlags();
  for (const std::string &feature : features) {
    std::string name = plain(feature);
    for (auto &[llvm, kernel] : linuxNames)
      if (name == llvm)
        name = kernel;
    if (!flags.contains(name))
      return feature;
  }
  return {};
}

} // namespace rshard::runtime
