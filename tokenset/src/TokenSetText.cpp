#include "rshard/tokenset/TokenSet.h"

#include <charconv>

namespace rshard::tokenset {
namespace {

/// set     := "empty" | runs | [runs] "below" N "," "then" pattern | pattern
/// pattern := "period" N ":" runs
/// runs    := ("[" N "," N ")")+
class Parser {
public:
  explicit Parser(std::string_view text) : text(text) {}

  Expected<TokenSet> parse() {
    if (word("empty"))
      return done() ? Expected<TokenSet>(TokenSet()) : fail("the end");
    std::vector<Run> head, pattern;
    int64_t horizon = 0, period = 0;
    bool hasHead = peek('[');
    if (hasHead && !runs(head))
      return failure;
    bool below = word("below");
    if (below && (!number(horizon) || !expect(',') || !keyword("then")))
      return failure;
    if (below || !hasHead) {
      if (!keyword("period") || !number(period) || !expect(':') ||
          !runs(pattern))
        return failure;
      if (period == 0)
        return error("period 0 is not positive");
    }
    if (!done())
      return fail("the end");
    if (!below)
      horizon = head.empty() ? 0 : head.back().end;
    auto set =
        TokenSet::create(std::move(head), horizon, period, std::move(pattern));
    return set ? std::move(set) : error(set.error().message);
  }

private:
  void skip() {
    while (at < text.size() && (text[at] == ' ' || text[at] == '\t'))
      ++at;
  }
  bool done() { return skip(), at == text.size(); }
  bool peek(char c) { return skip(), at < text.size() && text[at] == c; }
  bool word(std::string_view expected) {
    skip();
    if (!text.substr(at).starts_with(expected))
      return false;
    at += expected.size();
    return true;
  }
  bool keyword(std::string_view expected) {
    return word(expected) || (fail("`" + std::string(expected) + "`"), false);
  }
  bool expect(char c) {
    if (!peek(c))
      return fail(std::string("`") + c + "`"), false;
    return ++at, true;
  }
  bool number(int64_t &value) {
    skip();
    const char *end = text.data() + text.size();
    auto [stop, status] = std::from_chars(text.data() + at, end, value);
    // Beyond 2^53 positions would not survive other JSON readers.
    if (status != std::errc() || value < 0 || value > int64_t(1) << 53)
      return fail("a number from 0 to 2^53"), false;
    return at = stop - text.data(), true;
  }
  bool runs(std::vector<Run> &list) {
    do {
      Run run{};
      if (!expect('[') || !number(run.begin) || !expect(',') ||
          !number(run.end) || !expect(')'))
        return false;
      list.push_back(run);
    } while (peek('['));
    return true;
  }
  Error error(const std::string &what) {
    return failure = {"token set `" + std::string(text) + "`: " + what};
  }
  Error fail(const std::string &expected) {
    return error("expected " + expected + " at character " +
                 std::to_string(at));
  }

  std::string_view text;
  size_t at = 0;
  Error failure;
};

void print(const std::vector<Run> &runs, std::string &out) {
  for (const Run &run : runs) {
    if (!out.empty() && out.back() != ' ')
      out += ' ';
    out +=
        '[' + std::to_string(run.begin) + ',' + std::to_string(run.end) + ')';
  }
}

} // namespace

Expected<TokenSet> TokenSet::parse(std::string_view text) {
  return Parser(text).parse();
}

std::string TokenSet::print() const {
  std::string out;
  if (empty())
    return "empty";
  tokenset::print(headRuns, out);
  if (isFinite())
    return out;
  if (horizonAt > 0)
    out += (out.empty() ? "below " : " below ") + std::to_string(horizonAt) +
           ", then ";
  out += "period " + std::to_string(periodLength) + ": ";
  tokenset::print(patternRuns, out);
  return out;
}

} // namespace rshard::tokenset
