// What every row of every pool is, read back from a rank's tables: the ground
// on which routes are verified.

#ifndef RSHARD_TOKENSET_SRC_TENSORROUTES_H
#define RSHARD_TOKENSET_SRC_TENSORROUTES_H

#include "rshard/tokenset/Routes.h"

namespace rshard::tokenset {

/// One tensor of one exchange, as one rank's tables describe it.
struct TensorRoute {
  std::string exchange; // `enter`, `up0`, ...
  int32_t tensor;
  const IndexList *transfers;
  const IndexList *pack;
  IndexList own;  // positions of the pool's own rows, which the pack indexes
  IndexList used; // by pool row: the position that its reader expects, -1: none
};

/// `begin` cuts `items` entries into `lists` lists.
bool areOffsets(const IndexList &begin, size_t lists, size_t items);

/// Every tensor of every exchange, in order; the same list on all ranks.
/// Errors: (C6) an index outside its buffer, a row read as two positions, an
/// own row read as another.
Expected<std::vector<TensorRoute>> tensorRoutes(const Routes &routes);

} // namespace rshard::tokenset

#endif // RSHARD_TOKENSET_SRC_TENSORROUTES_H
