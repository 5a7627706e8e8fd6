//===- Rope.cpp - rotary frequencies from a configuration -----------------===//

#include "Rope.h"
#include "RShard/FloatRange.h"
#include <cmath>

using namespace mlir;
using namespace rshard;

/// The object that holds the scaling's keys; empty if there is none.
static std::string findScaling(Config &config) {
  config.requireSame("rope_scaling", "rope_parameters");
  for (const char *key : {"rope_parameters", "rope_scaling"}) {
    if (!config.has(key))
      continue;
    if (!config.isObject(key)) {
      config.refuse(key, "an object");
      return "";
    }
    return key;
  }
  return "";
}

static double readTheta(Config &config, const std::string &scaling) {
  std::optional<double> nested;
  std::string key = scaling + ".rope_theta";
  if (!scaling.empty())
    nested = config.findNumber(key);
  std::optional<double> outer = config.findNumber("rope_theta");
  if (nested && outer && *nested != *outer) {
    config.refuse(key, "rope_theta, " + Twine(std::to_string(*outer)));
    return 1.0;
  }
  double theta = 10000.0;
  if (nested)
    theta = *nested;
  else if (outer)
    theta = *outer;
  else
    config.infer("rope_theta", "10000.0", "the usual base");
  if (!isPositiveFloat(theta)) {
    config.refuse(nested ? StringRef(key) : "rope_theta", floatRange);
    return 1.0;
  }
  return theta;
}

/// A number of the scaling.
static double readPositive(Config &config, const std::string &key) {
  double value = config.getNumber(key);
  if (isPositiveFloat(value))
    return value;
  config.refuse(key, floatRange);
  return 1.0;
}

/// Llama 3's scaling: pairs with long wavelengths are slowed down by `factor`,
/// those with short ones are left alone, those between are interpolated.
static void scaleLlama3(Config &config, const std::string &scaling,
                        std::vector<double> &frequencies) {
  double factor = readPositive(config, scaling + ".factor");
  double low = readPositive(config, scaling + ".low_freq_factor");
  double high = readPositive(config, scaling + ".high_freq_factor");
  double context =
      readPositive(config, scaling + ".original_max_position_embeddings");
  if (!(high > low))
    return config.refuse(scaling + ".high_freq_factor",
                         "more than low_freq_factor");
  for (double &frequency : frequencies) {
    double wavelength = 2 * M_PI / frequency;
    if (wavelength < context / high)
      continue;
    if (wavelength > context / low) {
      frequency /= factor;
      continue;
    }
    double smooth = (context / wavelength - low) / (high - low);
    frequency = (1 - smooth) * frequency / factor + smooth * frequency;
  }
}

Rotary rshard::readRotary(Config &config, int64_t headSize) {
  Rotary rotary;
  std::string scaling = findScaling(config);
  config.know({"rope_theta"});
  config.require({{"partial_rotary_factor", "1.0"}, {"rotary_pct", "1.0"}});
  double theta = readTheta(config, scaling);
  std::optional<std::string> kind;
  std::string kindKey = scaling + ".rope_type";
  if (!scaling.empty()) {
    std::string partial = scaling + ".partial_rotary_factor";
    if (std::optional<double> factor = config.findNumber(partial);
        factor && *factor != 1.0)
      config.refuse(partial, "1.0: nothing else is supported");
    // The oldest configurations call it `type`.
    if (!config.has(kindKey) && config.has(scaling + ".type"))
      kindKey = scaling + ".type";
    kind = config.findString(kindKey);
    if (!kind && scaling == "rope_scaling") {
      config.refuse(kindKey, "default, linear or llama3");
      return rotary;
    }
    // Models that mix layer types may have one object per type.
    for (const char *type : {"full_attention", "sliding_attention"})
      if (config.has(scaling + "." + type))
        config.refuse(scaling + "." + type,
                      "one rotary embedding for all layers");
  }

  for (int64_t pair = 0; pair < headSize / 2; ++pair)
    rotary.frequencies.push_back(std::pow(theta, -2.0 * pair / headSize));

  if (!kind || *kind == "default")
    return rotary;
  if (*kind == "linear") {
    double factor = readPositive(config, scaling + ".factor");
    for (double &frequency : rotary.frequencies)
      frequency /= factor;
  } else if (*kind == "llama3") {
    scaleLlama3(config, scaling, rotary.frequencies);
  } else {
    config.refuse(kindKey, "default, linear or llama3");
  }
  for (double frequency : rotary.frequencies)
    if (!(frequency <= mostFloat)) {
      config.refuse(scaling + ".factor",
                    "one that leaves frequencies of at most 1e+37");
      break;
    }
  return rotary;
}
