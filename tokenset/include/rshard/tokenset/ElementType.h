// Element types of rows and tables: names and sizes.

#ifndef RSHARD_TOKENSET_ELEMENTTYPE_H
#define RSHARD_TOKENSET_ELEMENTTYPE_H

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace rshard::tokenset {

enum class ElementType : uint8_t { F32, I32, BF16, F16 };

/// As MLIR, plans and manifests write them, in the order of ElementType.
inline constexpr std::array<std::string_view, 4> elementTypeNames{
    "f32", "i32", "bf16", "f16"};

constexpr std::string_view elementTypeName(ElementType type) {
  return elementTypeNames[static_cast<size_t>(type)];
}

constexpr std::optional<ElementType>
elementTypeFromName(std::string_view name) {
  auto at = std::find(elementTypeNames.begin(), elementTypeNames.end(), name);
  if (at == elementTypeNames.end())
    return std::nullopt;
  return static_cast<ElementType>(at - elementTypeNames.begin());
}

constexpr int64_t elementBytes(ElementType type) {
  return type == ElementType::F32 || type == ElementType::I32 ? 4 : 2;
}

} // namespace rshard::tokenset

#endif // RSHARD_TOKENSET_ELEMENTTYPE_H
