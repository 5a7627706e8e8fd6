// Attention over the nodes of a plan for rows that somebody else computed: the
// attention-only entry, as an inference engine would call it in every layer.
//
// usage: attend ARTIFACT QUERIES KEYS VALUES ROWS...
//
// The files hold rows of the program's type; ROWS are those of each step. The
// attention of all rows goes to stdout, as float32.

#include "rshard/runtime/Runtime.h"

#include <charconv>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

using namespace rshard::runtime;

static int fail(const Error &error) {
  std::cerr << "error: " << error.message << "\n";
  return 1;
}

static Expected<std::vector<char>> readFile(const char *path) {
  std::ifstream in(path, std::ios::binary);
  std::vector<char> bytes;
  char part[1 << 16];
  while (in.read(part, sizeof(part)) || in.gcount() > 0)
    bytes.insert(bytes.end(), part, part + in.gcount());
  if (!in.eof())
    return Error{std::string(path) + ": cannot be read"};
  return bytes;
}

int main(int argc, char **argv) {
  if (argc < 6)
    return fail({"usage: attend ARTIFACT QUERIES KEYS VALUES ROWS..."});
  auto artifact = Artifact::open(argv[1]);
  if (!artifact)
    return fail(artifact.error());
  auto session = Session::create(*artifact);
  if (!session)
    return fail(session.error());

  std::vector<char> files[3];
  for (int i = 0; i != 3; ++i) {
    auto bytes = readFile(argv[2 + i]);
    if (!bytes)
      return fail(bytes.error());
    files[i] = std::move(*bytes);
  }
  auto &[queries, keys, values] = files;
  const ModelInfo &model = artifact->manifest().model;
  size_t head = model.headSize * elementBytes(session->rowType());
  size_t queryBytes = model.heads * head, keyBytes = model.kvHeads * head;
  for (int i = 5; i != argc; ++i) {
    std::string_view word = argv[i];
    int64_t rows = 0;
    auto [end, code] =
        std::from_chars(word.data(), word.data() + word.size(), rows);
    if (code != std::errc() || end != word.data() + word.size() || rows < 1)
      return fail({"'" + std::string(word) + "' vs a number of rows"});
    // A step appends: its keys and values are cached, each where its position
    // belongs, and its queries see what they may of all that is cached.
    size_t begin = session->length(), last = begin + rows;
    if (last * queryBytes > queries.size() || last * keyBytes > keys.size() ||
        last * keyBytes > values.size())
      return fail({"the files end before row " + std::to_string(last)});
    auto attended =
        session->attend({.query = queries.data() + begin * queryBytes,
                         .key = keys.data() + begin * keyBytes,
                         .value = values.data() + begin * keyBytes,
                         .rows = rows},
                        session->length());
    if (!attended)
      return fail(attended.error());
    std::cout.write(reinterpret_cast<const char *>(attended->data),
                    attended->rows * attended->width * sizeof(float));
  }
  std::cout.flush();
  if (!std::cout)
    return fail({"cannot write to stdout"});
}
