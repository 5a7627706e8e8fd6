#include "Packing.h"

#include <algorithm>
#include <bit>
#include <charconv>
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

// Stored elements are read with memcpy: the file aligns them as it likes.
struct StoredF32 {
  static constexpr int64_t size = 4;
  static float read(const std::byte *at) {
    float value;
    std::memcpy(&value, at, 4);
    return value;
  }
};
template <float (*Convert)(uint16_t)> struct Stored16 {
  static constexpr int64_t size = 2;
  static float read(const std::byte *at) {
    uint16_t raw;
    std::memcpy(&raw, at, 2);
    return Convert(raw);
  }
};
void write(float *at, float value) { *at = value; }
void write(uint16_t *at, float value) { *at = toBf16(value); }

/// Panels [begin, end) of [ceil(N/NR)][K][NR].
template <typename Stored, typename Out>
void packPanels(const PackJob &job, Out *out, int64_t begin, int64_t end) {
  int64_t width = job.layout.panelWidth, inputs = job.inputs(),
          outputs = job.outputs();
  const std::byte *base =
      job.tensor->data +
      (job.rowBegin * job.stride + job.columnBegin) * Stored::size;
  // Element (n, k) of the logical matrix lies at base + n * outputStep + k *
  // inputStep.
  int64_t outputStep = (job.transposed ? 1 : job.stride) * Stored::size;
  int64_t inputStep = (job.transposed ? job.stride : 1) * Stored::size;
  for (int64_t panel = begin; panel != end; ++panel) {
    Out *at = out + panel * inputs * width;
    int64_t first = panel * width, filled = std::min(width, outputs - first);
    const std::byte *source = base + first * outputStep;
    // Blocks of k keep the lines of all NR source rows in the cache until they
    // are used up.
    constexpr int64_t block = 64;
    for (int64_t k0 = 0; k0 < inputs; k0 += block) {
      int64_t k1 = std::min(inputs, k0 + block);
      for (int64_t n = 0; n != filled; ++n)
        for (int64_t k = k0; k != k1; ++k)
          write(at + k * width + n,
                Stored::read(source + n * outputStep + k * inputStep));
    }
    for (int64_t k = 0; filled < width && k != inputs; ++k)
      std::fill(at + k * width + filled, at + (k + 1) * width, Out{});
  }
}

template <typename Stored, typename Out>
void packRows(const PackJob &job, Out *out, int64_t begin, int64_t end) {
  for (int64_t row = begin; row != end; ++row) {
    const std::byte *source =
        job.tensor->data +
        ((job.rowBegin + row) * job.stride + job.columnBegin) * Stored::size;
    for (int64_t i = 0; i != job.columns; ++i)
      write(out + row * job.columns + i,
            Stored::read(source + i * Stored::size));
  }
}

template <typename Stored>
void packAs(const PackJob &job, void *out, int64_t begin, int64_t end) {
  bool panel = job.layout.kind == PackLayout::Kind::Panel;
  if (job.layout.bf16)
    panel ? packPanels<Stored>(job, static_cast<uint16_t *>(out), begin, end)
          : packRows<Stored>(job, static_cast<uint16_t *>(out), begin, end);
  else
    panel ? packPanels<Stored>(job, static_cast<float *>(out), begin, end)
          : packRows<Stored>(job, static_cast<float *>(out), begin, end);
}

std::string text(const std::vector<int64_t> &shape) {
  Tensor tensor;
  tensor.shape = shape;
  return tensor.shapeText();
}

} // namespace

Expected<PackLayout> parsePack(std::string_view pack) {
  PackLayout layout;
  if (pack == "vector")
    return layout;
  if (pack == "rows:f32" || pack == "rows:bf16") {
    layout.kind = PackLayout::Kind::Rows;
    layout.bf16 = pack == "rows:bf16";
    return layout;
  }
  constexpr std::string_view prefix = "panel:";
  if (pack.substr(0, prefix.size()) == prefix) {
    layout.kind = PackLayout::Kind::Panel;
    std::string_view rest = pack.substr(prefix.size());
    auto [end, code] = std::from_chars(rest.data(), rest.data() + rest.size(),
                                       layout.panelWidth);
    std::string_view type = rest.substr(static_cast<size_t>(end - rest.data()));
    if (code == std::errc() && layout.panelWidth >= 1 &&
        layout.panelWidth <= 4096 && (type == ":f32" || type == ":bf16")) {
      layout.bf16 = type == ":bf16";
      return layout;
    }
  }
  return Error{"pack \"" + std::string(pack) + "\" is not known"};
}

uint64_t PackJob::bytes() const {
  int64_t elements = rows * columns;
  if (layout.kind == PackLayout::Kind::Panel)
    elements = parts() * inputs() * layout.panelWidth;
  return static_cast<uint64_t>(elements) * (layout.bf16 ? 2 : 4);
}

const void *PackJob::inPlace() const {
  DType wanted = layout.bf16 ? DType::BF16 : DType::F32;
  if (layout.kind == PackLayout::Kind::Panel || tensor->type != wanted ||
      columns != stride)
    return nullptr;
  const std::byte *at = tensor->data + rowBegin * stride * dtypeSize(wanted);
  return reinterpret_cast<uintptr_t>(at) % dtypeSize(wanted) == 0 ? at
                                                                  : nullptr;
}

int64_t PackJob::parts() const {
  return layout.kind == PackLayout::Kind::Panel
             ? (outputs() + layout.panelWidth - 1) / layout.panelWidth
             : rows;
}

void PackJob::pack(void *out, int64_t begin, int64_t end) const {
  if (tensor->type == DType::F32)
    packAs<StoredF32>(*this, out, begin, end);
  else if (tensor->type == DType::BF16)
    packAs<Stored16<fromBf16>>(*this, out, begin, end);
  else
    packAs<Stored16<fromF16>>(*this, out, begin, end);
}

Expected<PackJob> makePackJob(const WeightSpec &spec, const Tensor &tensor) {
  std::string where = "tensor \"" + tensor.name + "\"";
  Expected<PackLayout> layout = parsePack(spec.pack);
  if (!layout)
    return Error{where + ": " + layout.error().message};
  if (tensor.type != DType::F32 && tensor.type != DType::F16 &&
      tensor.type != DType::BF16)
    return Error{where + " is " + std::string(dtypeName(tensor.type)) +
                 ", F32, F16 or BF16 is required"};
  if (tensor.shape != spec.shape)
    return Error{where + " has shape " + tensor.shapeText() +
                 ", the artifact was compiled for " + text(spec.shape)};
  // A vector may be one row of a matrix.
  bool vector = layout->kind == PackLayout::Kind::Vector;
  size_t rank = tensor.shape.size();
  if (rank != 2 && !(vector && rank == 1))
    return Error{where + " has shape " + tensor.shapeText() + ", " + spec.pack +
                 " needs " + (vector ? "1 dimension" : "2 dimensions")};
  PackJob job;
  job.tensor = &tensor;
  job.layout = *layout;
  job.transposed = spec.transposed;
  job.rows = tensor.shape[0];
  job.stride = job.columns = rank == 2 ? tensor.shape[1] : 1;
  auto slice = [&](const std::optional<std::pair<int64_t, int64_t>> &range,
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
  if (!slice(spec.sliceRows, job.rowBegin, job.rows) ||
      !slice(spec.sliceColumns, job.columnBegin, job.columns))
    return Error{where + ": slice is outside of " + tensor.shapeText()};
  if (vector && rank == 2 && job.rows != 1)
    return Error{where + " has shape " + tensor.shapeText() +
                 ", a vector is one row of it vs " + std::to_string(job.rows)};
  return job;
}

} // namespace rshard::runtime
