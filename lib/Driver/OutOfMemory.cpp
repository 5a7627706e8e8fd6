//===- OutOfMemory.cpp - the end of a tool without memory -----------------===//

#include "rshard/Driver/OutOfMemory.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/Path.h"
#include <atomic>
#include <cstdlib>
#include <dlfcn.h>
#include <new>
#include <unistd.h>

namespace {
/// Made in advance: there will be no memory for it. Empty until then, before
/// constructors have run too.
struct {
  char text[1024];
  size_t size;
} message;
} // namespace

[[noreturn]] static void end() {
  // Nothing is left to be done if nobody hears it.
  (void)!::write(STDERR_FILENO, message.text, message.size);
  ::_exit(1);
}

/// MLIR makes operations in memory that it asks malloc for, and does not look
/// whether it got any. The next malloc is libc's, or that of a library which
/// the user puts in front of it, as its free is.
extern "C" void *malloc(size_t size) {
  using Malloc = void *(size_t);
  static std::atomic<Malloc *> next; // without a guard: dlsym takes none
  Malloc *allocate = next.load(std::memory_order_relaxed);
  if (!allocate) {
    allocate = reinterpret_cast<Malloc *>(::dlsym(RTLD_NEXT, "malloc"));
    next.store(allocate, std::memory_order_relaxed);
  }
  void *memory = allocate(size);
  if (!memory && message.size)
    end();
  return memory;
}

void rshard::endWhenOutOfMemory(int argc, char **argv) {
  // A line of progress may stand on a terminal.
  llvm::SmallString<sizeof(message.text)> line(
      ::isatty(STDERR_FILENO) ? "\r\033[K" : "");
  line += "error: not enough memory for: ";
  line += llvm::sys::path::filename(argv[0]);
  for (int i = 1; i != argc; ++i)
    (line += " ") += argv[i];
  if (line.size() >= sizeof(message.text)) {
    line.resize(sizeof(message.text) - 4);
    line += "...";
  }
  line += "\n";
  message.size = line.size();
  llvm::copy(line, message.text);

  std::set_new_handler(end);
  // What LLVM asks malloc for; and its own handler of new, which tools of MLIR
  // install after this one, ends here too.
  llvm::install_bad_alloc_error_handler(
      [](void *, const char *, bool) { end(); });
}
