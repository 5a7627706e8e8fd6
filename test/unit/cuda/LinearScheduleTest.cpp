// The choice of a schedule against what was measured on an H200.

#include "rshard/Target/CUDA/LinearSchedule.h"
#include "rshard/Target/CUDA/KernelLibrary.h"
#include "llvm/ADT/STLExtras.h"
#include <gtest/gtest.h>
#include <limits>
#include <map>

using namespace rshard::cuda;

namespace {

struct Measured {
  int64_t rows, columns, inputs;
  /// cuBLAS's time over the schedule's: means of two runs.
  std::map<llvm::StringRef, double> ratios;
};

const std::vector<Measured> measurements = {
    {2048, 6144, 4096, {{"p192", 1.012}, {"p128", 0.9924}}},
    {2048, 4096, 4096, {{"p192", 0.9075}, {"p128", 1.019}}},
    {2048, 28672, 4096, {{"p192", 1.009}, {"p128", 1.035}}},
    {2048, 4096, 14336, {{"p192", 0.9011}, {"p128", 1.014}}},
    {8192, 8192, 8192, {{"p192", 1.065}, {"p128", 1.034}}},
    {8192, 6144, 4096, {{"p192", 1.028}, {"p128", 1.024}}},
    {8192, 4096, 4096, {{"p192", 1.003}, {"p128", 1.031}}},
    {8192, 28672, 4096, {{"p192", 1.041}, {"p128", 1.045}}},
    {8192, 4096, 14336, {{"p192", 0.9567}, {"p128", 0.995}}},
};

const LinearSchedule &choice(llvm::ArrayRef<LinearChoice> choices,
                             int64_t rows) {
  return *llvm::find_if(choices, [&](const LinearChoice &one) {
            return one.rows >= rows;
          })->schedule;
}

TEST(LinearSchedule, IsWithinOnePercentOfTheBestMeasured) {
  for (const Measured &one : measurements) {
    double best = 0;
    for (const auto &[name, ratio] : one.ratios)
      best = std::max(best, ratio);
    const LinearSchedule &chosen =
        choice(chooseLinearSchedules(one.columns, one.inputs), one.rows);
    EXPECT_GE(one.ratios.at(chosen.name), 0.99 * best)
        << one.rows << " x " << one.columns << " x " << one.inputs << ": "
        << chosen.name.str();
  }
}

TEST(LinearSchedule, RangesAreFewAscendingAndTakeEveryNumberOfRows) {
  for (int64_t columns : {8, 64, 576, 960, 2048, 6144, 28672, 128256})
    for (int64_t inputs : {8, 576, 2048, 4096, 14336}) {
      auto choices = chooseLinearSchedules(columns, inputs);
      // Each is a kernel of an artifact, and a test on the host of a step.
      EXPECT_LE(llvm::count_if(choices,
                               [](const LinearChoice &one) {
                                 return one.schedule->isForManyRows();
                               }),
                13)
          << columns << " x " << inputs;
      EXPECT_EQ(choices.back().rows, std::numeric_limits<int64_t>::max());
      // What leaves norms to products counts on it.
      EXPECT_EQ(choices.front().rows, KernelLibrary::rowsNormalised);
      EXPECT_FALSE(choices.front().schedule->isForManyRows());
      for (size_t i = 1; i != choices.size(); ++i) {
        EXPECT_LT(choices[i - 1].rows, choices[i].rows);
        EXPECT_NE(choices[i - 1].schedule, choices[i].schedule);
      }
      EXPECT_EQ(choice(choices, 1).kind, LinearSchedule::Kind::Small);
      EXPECT_EQ(choice(choices, 17).kind, LinearSchedule::Kind::Split);
      EXPECT_EQ(choice(choices, 64).kind, LinearSchedule::Kind::Split);
      EXPECT_TRUE(choice(choices, 257).isForManyRows());
    }
}

TEST(LinearSchedule, SplitsWhatWouldFillLessThanHalfOfTheDevice) {
  // o, q/k/v, gate and up of a Llama-8B layer: 32, 48 and 224 tiles of 128
  // columns for 132 multiprocessors.
  EXPECT_EQ(choice(chooseLinearSchedules(4096, 4096), 256).name, "s256");
  auto qkv = chooseLinearSchedules(6144, 4096);
  EXPECT_EQ(choice(qkv, 128).name, "s128");
  EXPECT_TRUE(choice(qkv, 129).isForManyRows());
  auto gateUp = chooseLinearSchedules(28672, 4096);
  EXPECT_EQ(choice(gateUp, 64).name, "s64");
  EXPECT_TRUE(choice(gateUp, 65).isForManyRows());
}

TEST(LinearSchedule, DependsOnTheDevice) {
  // With 44 multiprocessors 2048 x 4096 are 8 whole waves of 128 x 192, and
  // with 132 they are 2.67.
  DeviceShape device;
  device.multiprocessors = 44;
  const LinearSchedule *p192 = findLinearSchedule("p192"),
                       *p128 = findLinearSchedule("p128");
  EXPECT_LT(linearCost(*p192, 2048, 4096, 4096, device),
            linearCost(*p128, 2048, 4096, 4096, device));
  EXPECT_GT(linearCost(*p192, 2048, 4096, 4096, {}),
            linearCost(*p128, 2048, 4096, 4096, {}));
}

TEST(LinearSchedule, HasNames) {
  for (const LinearSchedule &one : linearSchedules())
    EXPECT_EQ(findLinearSchedule(one.name), &one);
  EXPECT_EQ(findLinearSchedule("p64"), nullptr);
}

} // namespace
