//===- Runtime.h - Running compiled programs from an application
//------------===//
//
//   auto artifact = rshard::runtime::Artifact::open("model.rshard");
//   auto weights = rshard::runtime::Weights::open("model-directory");
//   auto session = rshard::runtime::Session::create(*artifact, *weights,
//   {.capacity = 1024}); auto rows = session->step(prompt, 0); auto token =
//   sampler->next(rows->row(0));
//
// Every fallible function returns Expected: test it before use.
//
//===----------------------------------------------------------------------===//
#ifndef RSHARD_RUNTIME_RUNTIME_H
#define RSHARD_RUNTIME_RUNTIME_H

#include "rshard/runtime/Artifact.h"
#include "rshard/runtime/Npy.h"
#include "rshard/runtime/Pool.h"
#include "rshard/runtime/Sampling.h"
#include "rshard/runtime/Session.h"
#include "rshard/runtime/Weights.h"

#endif
