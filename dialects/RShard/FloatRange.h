//===- FloatRange.h - numbers that f32 computes with ------------*- C++ -*-===//

#ifndef RSHARD_FLOATRANGE_H
#define RSHARD_FLOATRANGE_H

namespace rshard {

/// Attributes hold f64 where generated code computes in f32. It uses a number's
/// reciprocal and small multiples as well (2 log2 e): of every number of this
/// range f32 holds them, none infinite and none 0, which would become NaN.
constexpr double leastFloat = 1e-37, mostFloat = 1e37;
constexpr const char floatRange[] = "a number from 1e-37 to 1e+37";

/// NaN is not.
constexpr bool isPositiveFloat(double value) {
  return value >= leastFloat && value <= mostFloat;
}

} // namespace rshard

#endif // RSHARD_FLOATRANGE_H
