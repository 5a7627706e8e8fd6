//===- Config.h - a model's config.json -------------------------*- C++ -*-===//

#ifndef RSHARD_LIB_IMPORT_CONFIG_H
#define RSHARD_LIB_IMPORT_CONFIG_H

#include "Report.h"
#include "rshard/Import/Import.h"
#include "llvm/ADT/StringMap.h"
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>

namespace rshard {

/// A key whose only supported value is fixed. `value` is JSON text. An absent
/// key and null count as the supported value.
struct FixedKey {
  llvm::StringLiteral key;
  llvm::StringLiteral value;
};

/// One JSON object of a model directory with the user's overrides. Keys are
/// dotted paths (`rope_parameters.rope_theta`). A value of the wrong type or
/// range is reported once, with its place in the file; the reader then returns
/// something harmless. An absent key and null are the same.
class Config {
public:
  /// Fails, with a diagnostic, if the file does not hold a JSON object.
  static mlir::FailureOr<Config> read(Report &report, const std::string &path,
                                      llvm::ArrayRef<ConfigOverride> overrides);
  Config(Config &&) noexcept;
  Config &operator=(Config &&) noexcept;
  ~Config();

  Report &getReport() const { return *report; }
  /// The text of the file, without overrides.
  const std::string &getText() const { return text; }

  bool has(llvm::StringRef key) const;
  bool isObject(llvm::StringRef key) const;
  bool isString(llvm::StringRef key) const;
  bool isOverridden(llvm::StringRef key) const { return overridden.count(key); }
  /// The key is there and its value is null.
  bool isNull(llvm::StringRef key) const;

  // Required keys. Integers are at least `least`.
  int64_t getInteger(llvm::StringRef key, int64_t least = 1);
  double getNumber(llvm::StringRef key);

  // Keys with a fallback, which is said as a note if it is used.
  int64_t getInteger(llvm::StringRef key, int64_t fallback,
                     llvm::StringRef reason);
  double getNumber(llvm::StringRef key, double fallback,
                   llvm::StringRef reason);
  std::string getString(llvm::StringRef key, llvm::StringRef fallback,
                        llvm::StringRef reason);

  // Keys whose absence has one usual meaning, which needs no note.
  std::optional<int64_t> findInteger(llvm::StringRef key, int64_t least = 1);
  std::optional<double> findNumber(llvm::StringRef key);
  std::optional<bool> findFlag(llvm::StringRef key);
  std::optional<std::string> findString(llvm::StringRef key);
  bool getFlag(llvm::StringRef key, bool absent) {
    return findFlag(key).value_or(absent);
  }
  /// A list of strings; empty if absent.
  std::vector<std::string> getStrings(llvm::StringRef key);
  /// One token id or a list of them; empty if absent. -1 stands for none, and
  /// ids that a vocabulary of this size does not have are noted and left out.
  std::vector<int64_t> getTokenIds(llvm::StringRef key, int64_t vocabulary);

  /// Refuses keys that have another value than the supported one.
  void require(llvm::ArrayRef<FixedKey> keys);
  /// Refuses `key` if it and `other`, of which either may say the same thing,
  /// are both there and differ.
  void requireSame(llvm::StringRef key, llvm::StringRef other);
  /// Says that these keys are read, or cannot matter.
  void know(llvm::ArrayRef<llvm::StringLiteral> keys);
  /// Notes keys that nobody has asked for, required or known.
  void noteUnknown();

  /// Reports `<key>: <value> vs <required>` at the key.
  void refuse(llvm::StringRef key, const llvm::Twine &required,
              const llvm::Twine &note = "");
  /// Notes that `key` is `value` because of `reason`, and what overrides it.
  void infer(llvm::StringRef key, const llvm::Twine &value,
             const llvm::Twine &reason);
  /// Where the key stands in the file; its beginning if it does not.
  mlir::Location locate(llvm::StringRef key) const;

private:
  Config(Report &report, std::string path);
  const nlohmann::json *find(llvm::StringRef key);
  const nlohmann::json *lookup(llvm::StringRef key) const;
  void override(const ConfigOverride &override);
  mlir::Location locate(size_t byte) const;

  Report *report;
  std::string path;
  std::string text;
  std::unique_ptr<nlohmann::json> root;
  std::set<std::string, std::less<>> known;
  std::set<std::string, std::less<>> overridden;
};

} // namespace rshard

#endif // RSHARD_LIB_IMPORT_CONFIG_H
