//===- AttendOnDevice.cpp - attention of rows in a GPU's memory -----------===//
//
// usage: attend-on-device ARTIFACT QUERIES KEYS VALUES ROWS...
//
// As examples/attend.cpp, but from C, and the files' rows are copied to the GPU
// before: rshard_session_attend gets addresses of the device.
//
// Links the runtime alone: it runs where no LLVM is installed.
//
//===----------------------------------------------------------------------===//

#include "rshard/runtime/rshard.h"
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

[[noreturn]] static void fail(const std::string &message) {
  std::fprintf(stderr, "error: %s\n", message.c_str());
  std::exit(1);
}

/// The file's bytes in the memory of device 0, in its primary context, which
/// the session uses too.
static uint64_t upload(const char *path) {
  static void *driver = dlopen("libcuda.so.1", RTLD_NOW);
  auto call = [](const char *name, auto... arguments) {
    auto *function = reinterpret_cast<int (*)(decltype(arguments)...)>(
        driver ? dlsym(driver, name) : nullptr);
    if (!function || function(arguments...) != 0)
      fail(std::string(name) + " failed");
  };
  static void *const context = [&] {
    void *made = nullptr;
    call("cuInit", 0U);
    call("cuDevicePrimaryCtxRetain", &made, 0);
    call("cuCtxPushCurrent_v2", made);
    return made;
  }();
  (void)context;
  std::ifstream in(path, std::ios::binary);
  std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
  uint64_t address = 0;
  call("cuMemAlloc_v2", &address, bytes.size());
  call("cuMemcpyHtoD_v2", address, static_cast<const void *>(bytes.data()),
       bytes.size());
  return address;
}

int main(int argc, char **argv) {
  if (argc < 6)
    fail("usage: attend-on-device ARTIFACT QUERIES KEYS VALUES ROWS...");
  char *error = nullptr;
  rshard_artifact *artifact = rshard_artifact_open(argv[1], &error);
  rshard_model_info model;
  if (!artifact || rshard_artifact_model(artifact, &model, &error) != 0)
    fail(error);
  rshard_session *session =
      rshard_session_create(artifact, nullptr, nullptr, &error);
  if (!session)
    fail(error);
  uint64_t query = upload(argv[2]), key = upload(argv[3]),
           value = upload(argv[4]);
  auto at = [&](uint64_t rows, int64_t heads) {
    constexpr int64_t elementBytes = 2; // bf16 or f16: there is no other
    return reinterpret_cast<const void *>(
        rows + static_cast<uint64_t>(rshard_session_length(session) * heads *
                                     model.head_size * elementBytes));
  };
  for (int i = 5; i != argc; ++i) {
    const float *output = nullptr;
    int64_t rows = rshard_session_attend(
        session, at(query, model.heads), at(key, model.key_heads),
        at(value, model.key_heads), std::atoll(argv[i]),
        rshard_session_length(session), &output, &error);
    if (rows < 0)
      fail(error);
    auto count = static_cast<size_t>(rows * rshard_session_width(session));
    if (std::fwrite(output, sizeof(float), count, stdout) != count)
      fail("cannot write to stdout");
  }
  rshard_session_free(session);
  rshard_artifact_free(artifact);
}
