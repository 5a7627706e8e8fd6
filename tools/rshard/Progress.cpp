//===- Progress.cpp - how far a long task is, on stderr -------------------===//

#include "Progress.h"
#include <cstdio>
#include <unistd.h>

using namespace rshard::tool;
using Clock = std::chrono::steady_clock;

struct Progress::State {
  std::string what;
  bool terminal = isatty(STDERR_FILENO);
  bool shown = false;
  Clock::time_point next = Clock::now() + std::chrono::seconds(1);

  ~State() {
    if (shown && terminal)
      std::fprintf(stderr, "\r\033[K");
  }
};

Progress::Progress(std::string what) : state(std::make_shared<State>()) {
  state->what = std::move(what);
}

void Progress::operator()(uint64_t done, uint64_t total) const {
  Clock::time_point now = Clock::now();
  if (now < state->next || !total)
    return;
  state->next = now + (state->terminal ? std::chrono::milliseconds(200)
                                       : std::chrono::milliseconds(5000));
  state->shown = true;
  std::fprintf(stderr, state->terminal ? "\r%s: %d %%" : "%s: %d %%\n",
               state->what.c_str(),
               static_cast<int>(100.0 * double(done) / double(total)));
  std::fflush(stderr);
}
