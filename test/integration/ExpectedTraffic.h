//===- ExpectedTraffic.h - which rows must go where, by brute force -------===//

#ifndef RSHARD_TEST_INTEGRATION_EXPECTEDTRAFFIC_H
#define RSHARD_TEST_INTEGRATION_EXPECTEDTRAFFIC_H

#include "rshard/runtime/Manifest.h"
#include "rshard/runtime/Transport.h"
#include "rshard/tokenset/Plan.h"

namespace rshard::integration {

/// Rows [position, position + rows) run; the client wants the last `wanted`.
struct StepShape {
  int64_t position = 0, rows = 1, wanted = 1;
};

/// Every message that a step must send between ranks, sorted. Asks each pair of
/// rows, nodes and keys for its owner and whether the mask shows it, and knows
/// nothing of route tables: it is what they are tested against.
std::vector<runtime::ReceiveRecord>
expectedTraffic(const tokenset::Plan &plan, const runtime::ModelInfo &model,
                int64_t capacity, const StepShape &step);

/// The order in which records are compared.
void sortRecords(std::vector<runtime::ReceiveRecord> &records);

} // namespace rshard::integration

#endif // RSHARD_TEST_INTEGRATION_EXPECTEDTRAFFIC_H
