//===- Npy.h - NumPy files in and out
//---------------------------------------===//
#ifndef RSHARD_RUNTIME_NPY_H
#define RSHARD_RUNTIME_NPY_H

#include "rshard/tokenset/Expected.h"

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace rshard::runtime {
using tokenset::Error;
using tokenset::Expected;

/// Writes `values` as a C-ordered float32 array [rows, width]; width =
/// values.size() / rows unless rows is 0. Whole or not at all: through a file
/// beside it that is renamed.
Expected<void> writeNpy(const std::filesystem::path &path,
                        std::span<const float> values, int64_t rows,
                        int64_t width);
/// Writes a one-dimensional int32 array.
Expected<void> writeNpy(const std::filesystem::path &path,
                        std::span<const int32_t> values);

/// Reads a one-dimensional array of integers of any width and sign, little- or
/// big-endian. Values that do not fit int32 are an error.
Expected<std::vector<int32_t>>
readNpyIntegers(const std::filesystem::path &path);

} // namespace rshard::runtime

#endif
