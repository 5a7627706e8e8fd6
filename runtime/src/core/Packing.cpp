#include "Packing.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>

namespace rshard::runtime {

namespace {

float fromBf16(uint16_t raw) {
  return std::bit_cast<float>(uint32_t(raw) << 16);
}

float fromF16(uint16_t raw) {
  uint32_t sign = uint32_t(raw & 0x8000) << 16, exponent = raw >> 10 & 31,
           fraction = raw & 0x3ff;
  if (exponent == 31)
    return std::bit_cast<float>(sign | 0x7f800000 | fraction << 13);
  if (exponent != 0)
    return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
  // Zero and subnormals: fraction x 2^-24, exact in f32.
  float magnitude = static_cast<float>(fraction) * 0x1p-24f;
  return sign ? -magnitude : magnitude;
}

/// Round to nearest, ties to even; NaN stays NaN.
uint16_t toBf16(float value) {
  uint32_t raw = std::bit_cast<uint32_t>(value);
  if (value != value)
    return static_cast<uint16_t>(raw >> 16 | 0x40);
  return static_cast<uint16_t>((raw + 0x7fff + (raw >> 16 & 1)) >> 16);
}

/// The same; what is too large becomes infinity.
uint16_t toF16(float value) {
  uint32_t raw = std::bit_cast<uint32_t>(value), sign = raw >> 16 & 0x8000;
  raw &= 0x7fffffff;
  if (raw > 0x7f800000)
    return static_cast<uint16_t>(sign | 0x7e00);
  if (raw >= 0x477ff000) // 65520, halfway to what would follow 65504
    return static_cast<uint16_t>(sign | 0x7c00);
  if (raw < 0x38800000) // below 2^-14: adding 0.5 leaves steps of 2^-24
    return static_cast<uint16_t>(
        sign | (std::bit_cast<uint32_t>(std::bit_cast<float>(raw) + 0.5f) -
                0x3f000000));
  return static_cast<uint16_t>(
      sign | (raw + 0xfff + (raw >> 13 & 1) - 0x38000000) >> 13);
}

// Stored elements are read with memcpy: the file aligns them as it likes.
struct StoredF32 {
  static constexpr DType type = DType::F32;
  explicit StoredF32(const PackPart &part) : data(part.data) {}
  const std::byte *data;
  float read(int64_t index) const {
    float value;
    std::memcpy(&value, data + index * 4, 4);
    return value;
  }
};
template <DType Type, float (*Convert)(uint16_t)> struct Stored16 {
  static constexpr DType type = Type;
  explicit Stored16(const PackPart &part) : data(part.data) {}
  const std::byte *data;
  float read(int64_t index) const {
    uint16_t raw;
    std::memcpy(&raw, data + index * 2, 2);
    return Convert(raw);
  }
};
using StoredBF16 = Stored16<DType::BF16, fromBf16>;
using StoredF16 = Stored16<DType::F16, fromF16>;

/// splitmix64: every bit of the result depends on every bit of `value`.
uint64_t scramble(uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
  value = (value ^ value >> 27) * 0x94d049bb133111eb;
  return value ^ value >> 31;
}

struct MadeUp {
  static constexpr DType type = DType::F64; // stored as no packed type
  explicit MadeUp(const PackPart &part) : values(*part.random) {}
  RandomValues values;
  float read(int64_t index) const {
    auto bits = static_cast<int64_t>(
        scramble(values.seed + static_cast<uint64_t>(index)) >> 40);
    // 24 bits, from -1 to 1
    return values.centre +
           values.amplitude * (static_cast<float>(bits - (1 << 23)) * 0x1p-23f);
  }
};

struct PackedF32 {
  static constexpr DType type = DType::F32;
  using Bits = float;
  static Bits bits(float value) { return value; }
};
struct PackedBF16 {
  static constexpr DType type = DType::BF16;
  using Bits = uint16_t;
  static Bits bits(float value) { return toBf16(value); }
};
struct PackedF16 {
  static constexpr DType type = DType::F16;
  using Bits = uint16_t;
  static Bits bits(float value) { return toF16(value); }
};

/// Element (n, k) of the logical matrix lies at
/// first + n * outputStep + k * inputStep.
struct Steps {
  explicit Steps(const PackPart &part)
      : first(part.rowBegin * part.stride + part.columnBegin),
        output(part.transposed ? 1 : part.stride),
        input(part.transposed ? part.stride : 1) {}
  int64_t first, output, input;
};

/// Blocks of k keep the lines of all source rows in the cache until they are
/// used up.
constexpr int64_t block = 64;

/// Panels [begin, end) of [ceil(N/NR)][K][NR].
template <typename Source, typename Target>
void packPanels(const PackJob &job, typename Target::Bits *out, int64_t begin,
                int64_t end) {
  const PackPart &part = job.parts.front();
  int64_t width = job.layout.panelWidth, inputs = part.inputs(),
          outputs = part.outputs();
  Source source(part);
  Steps steps(part);
  for (int64_t panel = begin; panel != end; ++panel, out += inputs * width) {
    int64_t first = panel * width, filled = std::min(width, outputs - first);
    int64_t base = steps.first + first * steps.output;
    for (int64_t k0 = 0; k0 < inputs; k0 += block) {
      int64_t k1 = std::min(inputs, k0 + block);
      for (int64_t n = 0; n != filled; ++n)
        for (int64_t k = k0; k != k1; ++k)
          out[k * width + n] = Target::bits(
              source.read(base + n * steps.output + k * steps.input));
    }
    for (int64_t k = 0; filled < width && k != inputs; ++k)
      std::fill(out + k * width + filled, out + (k + 1) * width,
                typename Target::Bits{});
  }
}

/// `count` rows of a part, from `row` on; `scale` are factors of the columns,
/// null for none.
template <typename Source, typename Target>
void packRows(const PackPart &part, const float *scale,
              typename Target::Bits *out, int64_t row, int64_t count) {
  int64_t inputs = part.inputs();
  auto bits = [&](float value, int64_t k) {
    return Target::bits(scale ? value * scale[k] : value);
  };
  Steps steps(part);
  int64_t base = steps.first + row * steps.output;
  Source source(part);
  if (!part.transposed) {
    for (int64_t n = 0; n != count; ++n, base += steps.output, out += inputs) {
      if constexpr (Source::type == Target::type) {
        if (!scale) {
          std::memcpy(out, part.data + base * int64_t(sizeof(*out)),
                      static_cast<size_t>(inputs) * sizeof(*out));
          continue;
        }
      }
      for (int64_t k = 0; k != inputs; ++k)
        out[k] = bits(source.read(base + k), k);
    }
    return;
  }
  for (int64_t k0 = 0; k0 < inputs; k0 += block) {
    int64_t k1 = std::min(inputs, k0 + block);
    for (int64_t n = 0; n != count; ++n)
      for (int64_t k = k0; k != k1; ++k)
        out[n * inputs + k] = bits(source.read(base + n + k * steps.input), k);
  }
}

/// Rows that lie together in the packed weight and in one part.
struct Run {
  size_t part;
  int64_t row, count;
};

/// The run that begins with row `at` of the packed weight.
Run runAt(const PackJob &job, int64_t at) {
  if (job.layout.kind == PackLayout::Kind::Interleave) {
    constexpr int64_t group = 8;
    int64_t index = at / group, inside = at % group;
    return {static_cast<size_t>(index % 2), index / 2 * group + inside,
            group - inside};
  }
  size_t part = 0;
  while (at >= job.parts[part].outputs())
    at -= job.parts[part++].outputs();
  return {part, at, job.parts[part].outputs() - at};
}

template <typename Source, typename Target>
void packPiece(const PackJob &job, const Run &run, void *out) {
  auto *to = static_cast<typename Target::Bits *>(out);
  if (job.layout.kind == PackLayout::Kind::Panel)
    packPanels<Source, Target>(job, to, run.row, run.row + run.count);
  else
    packRows<Source, Target>(job.parts[run.part],
                             job.scale.empty() ? nullptr : job.scale.data(), to,
                             run.row, run.count);
}

template <typename Source>
void packFrom(const PackJob &job, const Run &run, void *out) {
  switch (job.layout.type) {
  case ElementType::BF16:
    return packPiece<Source, PackedBF16>(job, run, out);
  case ElementType::F16:
    return packPiece<Source, PackedF16>(job, run, out);
  default:
    return packPiece<Source, PackedF32>(job, run, out);
  }
}

std::string text(const std::vector<int64_t> &shape) {
  Tensor tensor;
  tensor.shape = shape;
  return tensor.shapeText();
}

/// A part of a tensor that has the shape that the code was generated for.
Expected<PackPart> slicePart(const WeightPart &spec) {
  PackPart part;
  part.transposed = spec.transposed;
  size_t rank = spec.shape.size();
  part.rows = spec.shape[0];
  part.stride = part.columns = rank == 2 ? spec.shape[1] : 1;
  auto slice = [](const std::optional<std::pair<int64_t, int64_t>> &range,
                  int64_t &begin, int64_t &count) {
    if (!range)
      return true;
    if (range->first < 0 || range->first >= range->second ||
        range->second > count)
      return false;
    begin = range->first;
    count = range->second - range->first;
    return true;
  };
  if (!slice(spec.sliceRows, part.rowBegin, part.rows) ||
      !slice(spec.sliceColumns, part.columnBegin, part.columns) ||
      (rank == 1 && spec.sliceColumns))
    return Error{"slice is outside of " + text(spec.shape)};
  return part;
}

} // namespace

Expected<PackLayout> parsePack(std::string_view pack) {
  using Kind = PackLayout::Kind;
  PackLayout layout;
  if (pack == "vector")
    return layout;
  auto unknown = [&] {
    return Error{"pack \"" + std::string(pack) + "\" is not known"};
  };
  size_t colon = pack.rfind(':');
  if (colon == std::string_view::npos)
    return unknown();
  std::string_view kind = pack.substr(0, colon), type = pack.substr(colon + 1);
  if (type == "bf16")
    layout.type = ElementType::BF16;
  else if (type == "f16")
    layout.type = ElementType::F16;
  else if (type != "f32")
    return unknown();
  constexpr std::string_view panel = "panel:";
  if (kind == "rows") {
    layout.kind = Kind::Rows;
  } else if (kind == "join") {
    layout.kind = Kind::Join;
  } else if (kind == "interleave8") {
    layout.kind = Kind::Interleave;
  } else if (kind.substr(0, panel.size()) == panel) {
    layout.kind = Kind::Panel;
    std::string_view width = kind.substr(panel.size());
    auto [end, code] = std::from_chars(
        width.data(), width.data() + width.size(), layout.panelWidth);
    if (code != std::errc() || end != width.data() + width.size() ||
        width.front() == '0' || layout.panelWidth < 1 ||
        layout.panelWidth > 4096 || layout.type == ElementType::F16)
      return unknown();
  } else {
    return unknown();
  }
  return layout;
}

static Expected<void> checkScale(const WeightPart &scale,
                                 const PackLayout &layout,
                                 const PackPart &first, const std::string &is) {
  using Kind = PackLayout::Kind;
  if (layout.kind == Kind::Vector || layout.kind == Kind::Panel)
    return Error{is + " with a scale of columns"};
  std::string where = is + ": scale \"" + scale.tensor + "\" ";
  size_t rank = scale.shape.size();
  if ((rank != 1 && rank != 2) || scale.transposed)
    return Error{where + "has shape " + text(scale.shape) +
                 ", a vector is required"};
  Expected<PackPart> sliced = slicePart(scale);
  if (!sliced)
    return Error{where + sliced.error().message};
  if (rank == 2 && sliced->rows != 1)
    return Error{where + "has shape " + text(scale.shape) +
                 ", a vector is one row of it vs " +
                 std::to_string(sliced->rows)};
  int64_t elements = sliced->rows * sliced->columns;
  if (elements != first.inputs())
    return Error{where + "has " + std::to_string(elements) +
                 " elements, the weight has " + std::to_string(first.inputs()) +
                 " columns"};
  return {};
}

Expected<void> checkPack(const WeightSpec &spec) {
  using Kind = PackLayout::Kind;
  std::string is = "is \"" + spec.pack + "\"";
  Expected<PackLayout> layout = parsePack(spec.pack);
  if (!layout)
    return Error{is + ", which is not known"};
  size_t count = spec.parts.size();
  if (layout->kind == Kind::Interleave ? count != 2
      : layout->kind == Kind::Join     ? count == 0
                                       : count != 1)
    return Error{is + " with " + std::to_string(count) + " parts"};
  std::optional<PackPart> first;
  for (const WeightPart &part : spec.parts) {
    std::string where = is + ": tensor \"" + part.tensor + "\" ";
    size_t rank = part.shape.size();
    bool vector = layout->kind == Kind::Vector,
         column = vector || layout->kind == Kind::Join ||
                  layout->kind == Kind::Interleave;
    if (rank != 2 && !(column && rank == 1))
      return Error{where + "has shape " + text(part.shape) +
                   ", 2 dimensions are required"};
    Expected<PackPart> sliced = slicePart(part);
    if (!sliced)
      return Error{where + sliced.error().message};
    if (vector && rank == 2 && sliced->rows != 1)
      return Error{where + "has shape " + text(part.shape) +
                   ", a vector is one row of it vs " +
                   std::to_string(sliced->rows)};
    if (part.transposed && (vector || rank == 1))
      return Error{where + "is a vector and transposed"};
    if (!first) {
      first = *sliced;
    } else if (sliced->inputs() != first->inputs() ||
               rank != spec.parts.front().shape.size() ||
               (layout->kind == Kind::Interleave &&
                sliced->outputs() != first->outputs())) {
      return Error{where + "gives " + std::to_string(sliced->outputs()) +
                   " rows of " + std::to_string(sliced->inputs()) +
                   ", the first part " + std::to_string(first->outputs()) +
                   " of " + std::to_string(first->inputs())};
    }
  }
  if (layout->kind == Kind::Interleave && first->outputs() % 8 != 0)
    return Error{is + " of " + std::to_string(first->outputs()) +
                 " rows, a multiple of 8 is required"};
  return spec.scale ? checkScale(*spec.scale, *layout, *first, is)
                    : Expected<void>{};
}

int64_t PackJob::outputs() const {
  int64_t rows = 0;
  for (const PackPart &part : parts)
    rows += part.outputs();
  return rows;
}

int64_t PackJob::pieces() const {
  return layout.kind == PackLayout::Kind::Panel
             ? (outputs() + layout.panelWidth - 1) / layout.panelWidth
             : outputs();
}

uint64_t PackJob::pieceBytes() const {
  int64_t elements =
      inputs() *
      (layout.kind == PackLayout::Kind::Panel ? layout.panelWidth : 1);
  return static_cast<uint64_t>(elements * tokenset::elementBytes(layout.type));
}

const void *PackJob::inPlace() const {
  const PackPart &part = parts.front();
  DType wanted = layout.type == ElementType::BF16  ? DType::BF16
                 : layout.type == ElementType::F16 ? DType::F16
                                                   : DType::F32;
  if ((layout.kind != PackLayout::Kind::Vector &&
       layout.kind != PackLayout::Kind::Rows) ||
      !scale.empty() || part.random || part.type != wanted || part.transposed ||
      part.columns != part.stride)
    return nullptr;
  const std::byte *at =
      part.data + part.rowBegin * part.stride * dtypeSize(wanted);
  return reinterpret_cast<uintptr_t>(at) % dtypeSize(wanted) == 0 ? at
                                                                  : nullptr;
}

void PackJob::pack(std::byte *out, int64_t begin, int64_t end) const {
  while (begin != end) {
    Run run = layout.kind == PackLayout::Kind::Panel
                  ? Run{0, begin, end - begin}
                  : runAt(*this, begin);
    run.count = std::min(run.count, end - begin);
    const PackPart &part = parts[run.part];
    if (part.random)
      packFrom<MadeUp>(*this, run, out);
    else if (part.type == DType::F32)
      packFrom<StoredF32>(*this, run, out);
    else if (part.type == DType::BF16)
      packFrom<StoredBF16>(*this, run, out);
    else
      packFrom<StoredF16>(*this, run, out);
    begin += run.count;
    out += static_cast<uint64_t>(run.count) * pieceBytes();
  }
}

std::vector<float> vectorOf(const PackPart &part) {
  PackJob job{{}, {part}, {}};
  std::vector<float> out(static_cast<size_t>(part.rows * part.columns));
  job.pack(reinterpret_cast<std::byte *>(out.data()), 0, job.pieces());
  return out;
}

RandomValues randomValues(uint64_t seed, const Tensor &tensor,
                          bool transposed) {
  RandomValues out;
  out.seed = seed;
  for (char letter : tensor.name)
    out.seed = scramble(out.seed + static_cast<unsigned char>(letter));
  if (tensor.shape.size() == 2) {
    // A variance of 1 / inputs.
    auto inputs = static_cast<float>(tensor.shape[transposed ? 0 : 1]);
    out.amplitude = std::sqrt(3 / inputs);
    return out;
  }
  out.amplitude = 0.1f;
  constexpr std::string_view bias = "bias";
  if (!std::string_view(tensor.name).ends_with(bias))
    out.centre = 1;
  return out;
}

Expected<PackPart> storedPart(const WeightPart &spec, const Tensor &tensor) {
  std::string where = "tensor \"" + tensor.name + "\" ";
  if (tensor.type != DType::F32 && tensor.type != DType::F16 &&
      tensor.type != DType::BF16)
    return Error{where + "is " + std::string(dtypeName(tensor.type)) +
                 ", F32, F16 or BF16 is required"};
  if (tensor.shape != spec.shape)
    return Error{where + "has shape " + tensor.shapeText() +
                 ", the artifact was compiled for " + text(spec.shape)};
  Expected<PackPart> part = slicePart(spec);
  if (part) {
    part->data = tensor.data;
    part->type = tensor.type;
  }
  return part;
}

} // namespace rshard::runtime
