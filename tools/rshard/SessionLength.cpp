//===- SessionLength.cpp - how many positions a session holds -------------===//

#include "SessionLength.h"
#include "OptionChecks.h"

using namespace rshard::tool;

void SessionLength::add(CLI::App &app) {
  app.add_option("--max-new-tokens", asked,
                 "tokens to generate [32]; 0 only runs the prompt")
      ->type_name("N")
      ->check(atLeast(0))
      ->group("Generation");
  app.add_option("--capacity", capacity,
                 "positions of the session [prompt + new tokens - 1: the last "
                 "one is not run]")
      ->type_name("N")
      ->check(atLeast(0));
}
