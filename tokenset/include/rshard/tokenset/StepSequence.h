// The steps of a text, routed for all ranks: the ground on which plans and
// programs are verified before anything runs.

#ifndef RSHARD_TOKENSET_STEPSEQUENCE_H
#define RSHARD_TOKENSET_STEPSEQUENCE_H

#include "rshard/tokenset/Routes.h"

namespace rshard::tokenset {

/// A prompt, a second part, a step back, small steps: together `length`
/// positions. A mask that sees everything allows one step alone (C5).
class StepSequence {
public:
  /// `length` is the capacity too. Errors: those of Routes::create.
  static Expected<StepSequence>
  create(const Plan &plan, const std::vector<Mask> &masks, Position length);

  /// What create() will take, by rshard/tokenset/RouteMemory.h; same errors.
  static Expected<uint64_t>
  bytes(const Plan &plan, const std::vector<Mask> &masks, Position length);

  /// Routes the next step; false if there is none left. Errors: those of
  /// Routes::fill.
  Expected<bool> next();

  /// The current step; entry r is rank r's.
  const std::vector<Routes> &routes() const { return ranks; }
  /// Steps routed so far.
  int64_t steps() const { return int64_t(current); }
  /// How many there are: below 50, whatever the length.
  int64_t totalSteps() const { return int64_t(list.size()); }
  /// Messages between ranks in these steps, counted once at each sender; a
  /// layer's exchanges count once for their mask class.
  int64_t messages() const { return sent; }

private:
  std::vector<Routes> ranks;
  std::vector<Step> list;
  size_t current = 0;
  int64_t sent = 0;
};

} // namespace rshard::tokenset

#endif // RSHARD_TOKENSET_STEPSEQUENCE_H
