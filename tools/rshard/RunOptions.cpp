//===- RunOptions.cpp - the options of rshard run -------------------------===//

#include "RunOptions.h"
#include "OptionChecks.h"
#include "Prompt.h"
#include <cmath>

using namespace rshard;
using namespace rshard::tool;

void RunOptions::addGeneration(CLI::App &command) {
  auto add = [&](const char *name, auto &value, const char *type,
                 const char *help) {
    return command.add_option(name, value, help)
        ->type_name(type)
        ->group("Generation");
  };
  generation.length.add(command);
  add("--temperature", generation.sampling.temperature, "T",
      "0 takes the most likely token [0]")
      ->check(number(
          [](double value) { return std::isfinite(value) && value >= 0; },
          "a finite number from 0 on"));
  add("--top-p", generation.sampling.topP, "P",
      "draw from the most likely tokens that reach this probability [1]")
      ->check(number([](double value) { return value > 0 && value <= 1; },
                     "a number above 0, at most 1"));
  add("--seed", generation.sampling.seed, "N", "of the draws [0]")
      ->check(integer<uint64_t>(0, UINT64_MAX));
  command
      .add_flag("--ignore-eos", generation.ignoreEnd,
                "go on after the end token")
      ->group("Generation");
}

void RunOptions::add(CLI::App &command) {
  model.add(command);
  auto *input = command.add_option_group("Input");
  input->add_option("--prompt", prompt, "text")->type_name("TEXT");
  input->add_option("--tokens", tokens, "token ids: 1,2,3 or a .npy file")
      ->type_name("IDS|FILE")
      ->check(valid(checkTokens));
  command
      .add_option("--model", weights,
                  "directory with the weights and the tokenizer of an "
                  "artifact or of .mlir; with --weights the tokenizer alone")
      ->type_name("DIR")
      ->check(notEmpty("a directory"));
  command
      .add_option("--weights", values,
                  "random values instead of the model's, for benchmarks: "
                  "MODEL needs no more than config.json")
      ->type_name("random:SEED")
      ->check(randomSeed());
  addGeneration(command);
  command
      .add_option("--logits", logits,
                  "write the logits of every position that is run, float32 "
                  "[tokens, vocabulary]")
      ->type_name("OUT.npy")
      ->check(outputFile());
  command
      .add_option("--hidden", hidden,
                  "write the last hidden rows of a model without a head")
      ->type_name("OUT.npy")
      ->check(outputFile());
  command
      .add_option("--chunk", generation.chunk,
                  "rows of a step of the prompt [512, on a GPU 4096]")
      ->type_name("N")
      ->check(atLeast(0));
  command.add_option("--threads", threads, "threads [all cores]")
      ->type_name("N")
      ->check(atLeast(0));
  command
      .add_option("--target", target,
                  "cpu, or cuda: all nodes on one GPU [cpu]")
      ->type_name("TARGET")
      ->check(oneOf({"cpu", "cuda"}));
  command
      .add_option("--device", device,
                  "the GPU, as the CUDA driver counts them [0]; code for the "
                  "CPU has none")
      ->type_name("N")
      ->check(atLeast(0));
  command
      .add_option("--ptxas", assembler,
                  "the assembler for --target cuda, as in compile")
      ->type_name("FILE")
      ->check(notEmpty("a path"));
  command.add_option("--cpu", cpu, "CPU to generate code for [native]")
      ->type_name("NAME")
      ->check(notEmpty("a name"));
  command.add_flag("--json", json,
                   "print one JSON object; `tokens` are prompt and "
                   "continuation");
  command.add_flag("--stats", stats, "say times, memory and bytes on stderr");
  plan.add(command);
}
