//===- ConfigKeys.h - what keys of config.json mean for anybody -*- C++ -*-===//

#ifndef RSHARD_LIB_IMPORT_CONFIGKEYS_H
#define RSHARD_LIB_IMPORT_CONFIGKEYS_H

#include "Config.h"

namespace rshard {

/// Refuses keys that change the mathematics of any architecture and that no
/// architecture here supports, and knows those that cannot matter.
void checkCommonKeys(Config &config);

} // namespace rshard

#endif // RSHARD_LIB_IMPORT_CONFIGKEYS_H
