//===- FakeKernels.cpp - the compiler's kernels as plain loops ------------===//

#include "FakeKernels.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <sstream>

namespace fakecuda {

namespace {

enum class Type : uint8_t { F32, BF16, F16 };

size_t bytesOf(Type type) { return type == Type::F32 ? 4 : 2; }

/// Rows of numbers in the device's memory.
class Matrix {
public:
  Matrix(uint64_t address, Type type, int64_t width)
      : address(address), type(type), width(width) {}

  double get(int64_t row, int64_t column) const {
    const std::byte *at = element(row, column);
    if (type == Type::F32)
      return read<float>(at);
    if (type == Type::F16)
      return static_cast<double>(read<_Float16>(at));
    return std::bit_cast<float>(uint32_t(read<uint16_t>(at)) << 16);
  }
  void set(int64_t row, int64_t column, double value) const {
    std::byte *at = element(row, column);
    double rounded = round(value, type);
    if (type == Type::F32)
      return write(at, static_cast<float>(rounded));
    if (type == Type::F16)
      return write(at, static_cast<_Float16>(rounded));
    write(at, static_cast<uint16_t>(
                  std::bit_cast<uint32_t>(static_cast<float>(rounded)) >> 16));
  }
  /// To the nearest of the type, ties to even.
  static double round(double value, Type type) {
    auto narrow = static_cast<float>(value);
    if (type == Type::F32)
      return narrow;
    if (type == Type::F16)
      return static_cast<double>(static_cast<_Float16>(narrow));
    auto bits = std::bit_cast<uint32_t>(narrow);
    bits = narrow != narrow ? 0x7fffffff : bits + 0x7fff + (bits >> 16 & 1);
    return std::bit_cast<float>(bits & 0xffff0000);
  }
  void copyRow(int64_t row, const Matrix &from, int64_t source) const {
    size_t bytes = static_cast<size_t>(width) * bytesOf(type);
    std::memcpy(memoryAt(offset(row), bytes),
                memoryAt(from.offset(source), bytes), bytes);
  }

private:
  uint64_t offset(int64_t row) const {
    return address + static_cast<uint64_t>(row * width) * bytesOf(type);
  }
  std::byte *element(int64_t row, int64_t column) const {
    return memoryAt(offset(row) + static_cast<uint64_t>(column) * bytesOf(type),
                    bytesOf(type));
  }
  template <typename T> static T read(const std::byte *at) {
    T value;
    std::memcpy(&value, at, sizeof(T));
    return value;
  }
  template <typename T> static void write(std::byte *at, T value) {
    std::memcpy(at, &value, sizeof(T));
  }

  uint64_t address;
  Type type;
  int64_t width;
};

int32_t integerAt(uint64_t address, int64_t index) {
  int32_t value;
  std::memcpy(
      &value,
      memoryAt(address + static_cast<uint64_t>(index) * 4, sizeof(value)),
      sizeof(value));
  return value;
}

/// The words of a kernel's name, read from the left.
class Words {
public:
  explicit Words(const std::string &name) {
    std::istringstream in(name);
    for (std::string word; std::getline(in, word, '_');)
      words.push_back(word);
  }
  bool take(const char *word) {
    if (next == words.size() || words[next] != word)
      return false;
    ++next;
    return true;
  }
  const std::string &word() { return words.at(next++); }
  bool isNumber() const {
    return next != words.size() && std::isdigit(words[next].front()) != 0;
  }
  int64_t number() { return std::stoll(word()); }
  /// "4x2x16"
  std::vector<int64_t> numbers() {
    std::vector<int64_t> out;
    std::istringstream in(word());
    for (std::string part; std::getline(in, part, 'x');)
      out.push_back(std::stoll(part));
    return out;
  }
  /// The bits of a float.
  double bits() {
    return std::bit_cast<float>(
        static_cast<uint32_t>(std::stoul(word(), nullptr, 16)));
  }
  std::optional<Type> typeIfAny() {
    return take("f32")    ? std::optional(Type::F32)
           : take("bf16") ? std::optional(Type::BF16)
           : take("f16")  ? std::optional(Type::F16)
                          : std::nullopt;
  }
  Type type() {
    if (std::optional<Type> type = typeIfAny())
      return *type;
    throw std::out_of_range("no type");
  }
  using Function = double (*)(double);
  /// An activation, if the next word is one.
  Function activation() {
    if (take("silu"))
      return [](double x) { return x / (1 + std::exp(-x)); };
    if (take("relu"))
      return [](double x) { return std::max(x, 0.0); };
    if (!take("gelu"))
      return nullptr;
    if (take("tanh"))
      return [](double x) {
        return x / 2 *
               (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
      };
    return [](double x) { return x / 2 * (1 + std::erf(x * M_SQRT1_2)); };
  }

private:
  std::vector<std::string> words;
  size_t next = 0;
};

using Body = std::function<void(const Parameters &)>;

Kernel makeLinear(Words words) {
  words.word(); // the schedule
  std::vector<int64_t> shape = words.numbers();
  int64_t inputs = shape.at(0);
  std::vector<int64_t> outputs{shape.at(1)};
  while (words.isNumber())
    outputs.push_back(words.number());
  Type element = words.type(), result = words.typeIfAny().value_or(element);
  bool bias = words.take("bias");
  Words::Function activation = words.activation();
  bool gated = words.take("gated"), residual = words.take("residual");
  bool rotates = words.take("rope");
  std::vector<int64_t> rotated =
      rotates ? words.numbers() : std::vector<int64_t>{0, 1};
  int64_t head = rotated.at(1), columns = rotated.at(0) * head, half = head / 2;
  bool norm = words.take("norm");
  double epsilon = norm ? words.bits() : 0;
  bool given = words.take("factors"), sums = words.take("squares"),
       partial = words.take("partial");
  Type own = partial ? words.type() : element; // of x
  size_t results = 2 + bias + residual + 2 * rotates;
  size_t addresses = results + outputs.size() + given + sums + partial;
  return {
      addresses, 1, [=](const Parameters &in) {
        size_t next = 2;
        Matrix x(in.addresses[0], own, inputs),
            w(in.addresses[1], element, inputs);
        Matrix factors(given ? in.addresses[results + outputs.size()] : 0,
                       Type::F32, 1);
        Matrix summed(sums ? in.addresses[addresses - 1] : 0, Type::F32,
                      outputs.front() / 64);
        Matrix biases(bias ? in.addresses[next++] : 0, Type::F32, 1);
        Matrix before(residual ? in.addresses[next++] : 0, element,
                      outputs.front());
        size_t positions = next, angles = next + 1;
        next += 2 * rotates;
        auto product = [&](int64_t row, int64_t of) {
          double sum = 0, squares = 0;
          for (int64_t k = 0; k != inputs; ++k) {
            double value =
                partial
                    ? Matrix::round(
                          x.get(integerAt(in.addresses[addresses - 1], row), k),
                          element)
                    : x.get(row, k);
            squares += value * value;
            sum += value * w.get(of, k);
          }
          if (given)
            sum *= factors.get(row, 0);
          if (norm)
            sum /= std::sqrt(squares / static_cast<double>(inputs) + epsilon);
          return sum + (bias ? biases.get(of, 0) : 0);
        };
        for (int64_t row = 0; row != in.numbers[0]; ++row) {
          int64_t of = 0;
          for (size_t y = 0; y != outputs.size(); ++y) {
            Matrix out(in.addresses[next + y], result, outputs[y]);
            for (int64_t column = 0; column != outputs[y]; ++column, ++of) {
              // Gate and up in turn, in blocks of 8 rows.
              int64_t gate = of / 8 * 16 + of % 8;
              double value = product(row, gated ? gate : of);
              if (activation)
                value = activation(value);
              if (gated)
                value *= product(row, gate + 8);
              if (residual)
                value += before.get(row, column);
              if (of < columns) {
                Matrix table(in.addresses[angles], Type::F32, head);
                int32_t position = integerAt(in.addresses[positions], row);
                bool second = of % head >= half;
                double other = product(row, second ? of - half : of + half),
                       sine = table.get(position, half + of % half);
                value = value * table.get(position, of % half) +
                        (second ? other : -other) * sine;
              }
              out.set(row, column, value);
              if (sums)
                summed.set(row, column / 64,
                           value * value + (column % 64 != 0
                                                ? summed.get(row, column / 64)
                                                : 0));
            }
          }
        }
      }};
}

/// q, k, v, first, last, o, lse among the addresses, by number; and the rows of
/// q, in their order, if they are not all rows.
struct AttentionPlaces {
  size_t query, key, value, first, last, output, lse;
  std::optional<size_t> source;
};

Kernel makeAttention(Words words, size_t addresses, size_t numbers,
                     AttentionPlaces at) {
  std::vector<int64_t> shape = words.numbers();
  int64_t heads = shape.at(0), keyHeads = shape.at(1), size = shape.at(2);
  double scale = words.bits(), cap = words.take("cap") ? words.bits() : 0;
  Type element = words.type(), result = words.type();
  return {addresses, numbers, [=](const Parameters &in) {
            Matrix q(in.addresses[at.query], element, heads * size),
                k(in.addresses[at.key], element, keyHeads * size),
                v(in.addresses[at.value], element, keyHeads * size),
                o(in.addresses[at.output], result, heads * size),
                lse(in.addresses[at.lse], Type::F32, heads);
            bool continues = in.numbers.back() != 0;
            for (int64_t row = 0; row != in.numbers[0]; ++row) {
              int64_t from =
                  at.source ? integerAt(in.addresses[*at.source], row) : row;
              int64_t first = integerAt(in.addresses[at.first], row),
                      last = integerAt(in.addresses[at.last], row);
              for (int64_t head = 0; head != heads; ++head) {
                int64_t column = head / (heads / keyHeads) * size;
                constexpr double none =
                    -std::numeric_limits<double>::infinity();
                double most = continues ? lse.get(row, head) : none;
                double sum = most == none ? 0 : 1;
                std::vector<double> total(static_cast<size_t>(size));
                for (int64_t d = 0; d != size && sum != 0; ++d)
                  total[static_cast<size_t>(d)] = o.get(row, head * size + d);
                for (int64_t key = first; key < last; ++key) {
                  double score = 0;
                  for (int64_t d = 0; d != size; ++d)
                    score +=
                        q.get(from, head * size + d) * k.get(key, column + d);
                  score *= scale;
                  if (cap != 0)
                    score = cap * std::tanh(score / cap);
                  double larger = std::max(most, score);
                  double keep = sum == 0 ? 0 : std::exp(most - larger),
                         weight = std::exp(score - larger);
                  for (int64_t d = 0; d != size; ++d)
                    total[static_cast<size_t>(d)] =
                        total[static_cast<size_t>(d)] * keep +
                        weight * v.get(key, column + d);
                  sum = sum * keep + weight;
                  most = larger;
                }
                for (int64_t d = 0; d != size; ++d)
                  o.set(row, head * size + d,
                        sum == 0 ? 0 : total[static_cast<size_t>(d)] / sum);
                lse.set(row, head, sum == 0 ? none : most + std::log(sum));
              }
            }
          }};
}

Kernel makeNorm(Words words) {
  bool rms = words.take("rms");
  if (!rms)
    words.take("layer");
  std::vector<int64_t> shape = words.numbers();
  int64_t heads = shape.at(0), width = shape.at(1);
  double epsilon = words.bits();
  bool scaled = words.take("scale"), bias = words.take("bias");
  Type element = words.type();
  return {size_t(2) + scaled + bias, 1, [=](const Parameters &in) {
            Matrix x(in.addresses[0], element, width),
                scale(scaled ? in.addresses[1] : 0, Type::F32, 1),
                biases(bias ? in.addresses[1 + scaled] : 0, Type::F32, 1),
                y(in.addresses.back(), element, width);
            for (int64_t row = 0; row != in.numbers[0] * heads; ++row) {
              double mean = 0, squares = 0;
              for (int64_t i = 0; i != width && !rms; ++i)
                mean += x.get(row, i) / static_cast<double>(width);
              for (int64_t i = 0; i != width; ++i)
                squares += std::pow(x.get(row, i) - mean, 2);
              double factor =
                  1 / std::sqrt(squares / static_cast<double>(width) + epsilon);
              for (int64_t i = 0; i != width; ++i)
                y.set(row, i,
                      (x.get(row, i) - mean) * factor *
                              (scaled ? scale.get(i, 0) : 1) +
                          (bias ? biases.get(i, 0) : 0));
            }
          }};
}

Kernel makeNormFactors(Words words) {
  int64_t width = words.numbers().at(0);
  double epsilon = words.bits();
  return {2, 1, [=](const Parameters &in) {
            Matrix squares(in.addresses[0], Type::F32, width / 64),
                factors(in.addresses[1], Type::F32, 1);
            for (int64_t row = 0; row != in.numbers[0]; ++row) {
              double sum = 0;
              for (int64_t i = 0; i != width / 64; ++i)
                sum += squares.get(row, i);
              factors.set(
                  row, 0,
                  1 / std::sqrt(sum / static_cast<double>(width) + epsilon));
            }
          }};
}

Kernel makeMerge(Words words) {
  std::vector<int64_t> shape = words.numbers();
  int64_t heads = shape.at(0), size = shape.at(1);
  Type partial = words.type(), element = words.type();
  // A row has a block for 128 accesses of 16 bytes, or fewer bytes if heads are
  // no multiple.
  int64_t access = partial == Type::F32 ? 4 : 8;
  while (size % access)
    access /= 2;
  int64_t perRow = (heads * size / access + 127) / 128;
  return {5, 0, [=](const Parameters &in) {
            Matrix o(in.addresses[0], partial, heads * size),
                lse(in.addresses[1], Type::F32, heads),
                y(in.addresses[4], element, heads * size);
            for (int64_t row = 0; row != in.blocks / perRow; ++row) {
              int32_t begin = integerAt(in.addresses[2], row),
                      end = integerAt(in.addresses[2], row + 1);
              for (int64_t column = 0; column != heads * size; ++column) {
                double most = -std::numeric_limits<double>::infinity(), sum = 0,
                       total = 0;
                auto each = [&](auto &&visit) {
                  for (int32_t i = begin; i != end; ++i) {
                    int32_t source = integerAt(in.addresses[3], i);
                    double weight = lse.get(source, column / size);
                    if (std::isfinite(weight))
                      visit(source, weight);
                  }
                };
                each([&](int32_t, double weight) {
                  most = std::max(most, weight);
                });
                each([&](int32_t source, double weight) {
                  sum += std::exp(weight - most);
                  total += std::exp(weight - most) * o.get(source, column);
                });
                y.set(row, column, sum == 0 ? 0 : total / sum);
              }
            }
          }};
}

Kernel makeColumns(Words words) {
  int64_t width = words.number();
  words.take("from");
  int64_t first = words.number();
  words.take("of");
  int64_t total = words.number();
  Type element = words.type();
  return {2, 0, [=](const Parameters &in) {
            Matrix x(in.addresses[0], element, total),
                y(in.addresses[1], element, width);
            for (int64_t row = 0; row != in.blocks; ++row)
              for (int64_t column = 0; column != width; ++column)
                y.set(row, column, x.get(row, first + column));
          }};
}

Kernel makeRope(Words words) {
  // "4_2x16": 4 heads of 16, and 2
  std::vector<int64_t> heads, last;
  do {
    last = words.numbers();
    heads.push_back(last.front());
  } while (last.size() == 1);
  int64_t size = last.at(1), half = size / 2;
  Type element = words.type();
  size_t count = heads.size();
  return {2 * count + 2, 0, [=](const Parameters &in) {
            Matrix angles(in.addresses[count + 1], Type::F32, size);
            for (int64_t row = 0; row != in.blocks; ++row) {
              int32_t position = integerAt(in.addresses[count], row);
              for (size_t which = 0; which != count; ++which) {
                int64_t width = heads[which] * size;
                Matrix x(in.addresses[which], element, width),
                    y(in.addresses[count + 2 + which], element, width);
                for (int64_t i = 0; i != width / 2; ++i) {
                  int64_t low = i / half * size + i % half;
                  double a = x.get(row, low), b = x.get(row, low + half),
                         cosine = angles.get(position, i % half),
                         sine = angles.get(position, half + i % half);
                  y.set(row, low, a * cosine - b * sine);
                  y.set(row, low + half, b * cosine + a * sine);
                }
              }
            }
          }};
}

Kernel makeEmbed(Words words) {
  int64_t width = words.number();
  Type stored = words.type(), element = words.type();
  bool accumulate = words.take("accumulate"), constant = words.take("constant");
  return {size_t(3) + constant, 0, [=](const Parameters &in) {
            Matrix table(in.addresses[1], stored, width),
                row(constant ? in.addresses[2] : 0, Type::F32, 1),
                y(in.addresses.back(), element, width);
            for (int64_t i = 0; i != in.blocks; ++i)
              for (int64_t d = 0; d != width; ++d)
                y.set(i, d,
                      table.get(integerAt(in.addresses[0], i), d) +
                          (constant ? row.get(d, 0) : 0) +
                          (accumulate ? y.get(i, d) : 0));
          }};
}

/// y = body(a, b) for every element; `vector`: b is one row of f32.
template <typename Fn>
Kernel makeElements(Words words, size_t inputs, bool vector, Fn body) {
  int64_t width = words.number();
  Type element = words.type(), result = words.typeIfAny().value_or(element);
  return {inputs + vector + 1, 0, [=](const Parameters &in) {
            Matrix a(in.addresses[0], element, width),
                b(in.addresses[1], vector ? Type::F32 : element, width),
                y(in.addresses.back(), result, width);
            for (int64_t row = 0; row != in.blocks; ++row)
              for (int64_t d = 0; d != width; ++d)
                y.set(row, d,
                      body(a.get(row, d), vector       ? b.get(0, d)
                                          : inputs > 1 ? b.get(row, d)
                                                       : 0));
          }};
}

Kernel makeGather(Words words) {
  int64_t width = words.number();
  Type element = words.type();
  return {3, 0, [=](const Parameters &in) {
            Matrix pool(in.addresses[0], element, width),
                y(in.addresses[2], element, width);
            for (int64_t i = 0; i != in.blocks; ++i)
              y.copyRow(i, pool, integerAt(in.addresses[1], i));
          }};
}

Kernel makeAppend(Words words) {
  // "64x2": rows of 64 of two pools
  std::vector<int64_t> shape = words.numbers();
  int64_t width = shape.at(0), count = shape.size() > 1 ? shape[1] : 1;
  Type element = words.type();
  auto caches = static_cast<size_t>(count);
  return {2 * caches + 2, 0, [=](const Parameters &in) {
            for (int64_t block = 0; block != in.blocks; ++block) {
              int64_t i = block / count;
              auto which = static_cast<size_t>(block % count);
              Matrix pool(in.addresses[which], element, width),
                  cache(in.addresses[caches + 1 + which], element, width);
              cache.copyRow(integerAt(in.addresses.back(), i), pool,
                            integerAt(in.addresses[caches], i));
            }
          }};
}

std::optional<Kernel> make(Words words) {
  if (words.take("linear"))
    return makeLinear(words);
  if (words.take("attention"))
    return makeAttention(words, 9, 3, {0, 1, 2, 4, 5, 6, 7, std::nullopt});
  if (words.take("decode")) {
    words.take("attention");
    words.word(); // the most rows
    return makeAttention(words, 10, 2, {0, 1, 2, 3, 4, 5, 6, 9});
  }
  if (words.take("norm"))
    return words.take("factors") ? makeNormFactors(words) : makeNorm(words);
  if (words.take("merge"))
    return makeMerge(words);
  if (words.take("columns"))
    return makeColumns(words);
  if (words.take("rope"))
    return makeRope(words);
  if (words.take("embed"))
    return makeEmbed(words);
  if (words.take("gather"))
    return makeGather(words);
  if (words.take("append"))
    return makeAppend(words);
  auto sum = [](double a, double b) { return a + b; };
  if (words.take("add"))
    return makeElements(words, 2, false, sum);
  if (words.take("addrow"))
    return makeElements(words, 1, true, sum);
  if (words.take("convert") || words.take("copy"))
    return makeElements(words, 1, false, [](double a, double) { return a; });
  bool gated = words.take("gated");
  if (Words::Function activation = words.activation())
    return makeElements(words, gated ? 2 : 1, false, [=](double a, double b) {
      return activation(a) * (gated ? b : 1);
    });
  return std::nullopt;
}

} // namespace

std::unique_ptr<Kernel> makeKernel(const std::string &name) {
  try {
    if (std::optional<Kernel> kernel = make(Words(name)))
      return std::make_unique<Kernel>(std::move(*kernel));
  } catch (const std::exception &) { // a word that is none
  }
  return nullptr;
}

} // namespace fakecuda
