#include "rshard/runtime/Manifest.h"

#include <gtest/gtest.h>

namespace rshard::runtime {
namespace {

Manifest sample() {
  Manifest m;
  m.abi = 1;
  m.producer = "rshard 0";
  m.model.architecture = "Toy";
  m.model.vocabulary = 10;
  m.model.hidden = 4;
  m.model.heads = 2;
  m.model.kvHeads = 1;
  m.model.headSize = 2;
  m.model.layers = 3;
  m.model.masks = {tokenset::Mask::causal(), tokenset::Mask::windowed(5)};
  m.model.layerMask = {0, 1, 0};
  m.model.maxPositions = 64;
  m.model.endTokens = {2, 3};
  m.target.cpu = "x86-64-v3";
  m.target.features = {"avx2", "fma"};
  m.hashes = {std::string(64, 'a'), "", std::string(64, 'b')};
  m.plan = "{}";
  m.buffers = {{"scratch", ElementType::I32, 1, RowClass::Client},
               {"rope0", ElementType::F32, 2, RowClass::Positions},
               {"workspace", ElementType::F32, 1, RowClass::Workspace}};
  m.tables = {"client.position", "wanted.row"};
  m.weights = {
      {"q", "l.{}.q", {{0, 3}}, 0, {4, 4}, {{0, 2}}, {}, true, "panel:16:bf16"},
      {"n", "norm", {}, 3, {4}, {}, {}, false, "vector"},
      {"e", "embed", {}, 4, {10, 4}, {}, {}, false, "rows:f32"}};
  m.rope = {{"rope0", {0.1}, 1.5}};
  m.exchanges = standardExchanges(m.model);
  return m;
}

/// The error of the sample after one textual change of its JSON.
std::string errorAfter(const std::string &from, const std::string &to) {
  std::string text = sample().toJson();
  size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from << " in " << text;
  text.replace(at, from.size(), to);
  Expected<Manifest> m = Manifest::fromJson(text);
  return m ? "" : m.error().message;
}

TEST(Manifest, RoundTrips) {
  Manifest m = sample();
  Expected<Manifest> again = Manifest::fromJson(m.toJson());
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->toJson(), m.toJson());
  EXPECT_EQ(again->model.masks, m.model.masks);
  EXPECT_EQ(again->weights[0].layers, m.weights[0].layers);
  EXPECT_EQ(again->weights[0].sliceRows, m.weights[0].sliceRows);
  EXPECT_EQ(again->weights[1].sliceRows, std::nullopt);
  EXPECT_EQ(again->rope[0].inverseFrequencies, m.rope[0].inverseFrequencies);
  EXPECT_EQ(again->weightSlots(), 5);
}

TEST(Manifest, KnowsRowClassesByName) {
  for (int i = 0; i <= static_cast<int>(RowClass::Workspace); ++i) {
    auto rows = static_cast<RowClass>(i);
    EXPECT_EQ(rowClassFromName(rowClassName(rows)), rows);
  }
  EXPECT_EQ(rowClassFromName("x"), std::nullopt);
}

TEST(Manifest, ListsExchangesInOrder) {
  std::vector<ExchangeSpec> list = standardExchanges(sample().model);
  ASSERT_EQ(list.size(), 6u);
  EXPECT_EQ(list[enterExchange()].name, "enter");
  EXPECT_EQ(list[upExchange(1)].name, "up1");
  EXPECT_EQ(list[downExchange(0)].name, "down0");
  EXPECT_EQ(list[leaveExchange(2)].name, "leave");
  EXPECT_EQ(list[upExchange(1)].tensors[1].width, 2);
  EXPECT_EQ(list[downExchange(1)].tensors[1].width, 2);
}

TEST(Manifest, NamesTheFieldThatIsWrong) {
  auto has = [](const char *from, const char *to, const char *text) {
    std::string error = errorAfter(from, to);
    EXPECT_NE(error.find(text), std::string::npos) << error;
  };
  has("\"abi\":1", "\"abi\":\"1\"", "abi is not an integer");
  has("\"abi\":1", "\"ibi\":1", "abi is missing");
  has("\"abi\":1", "\"abi\":1,\"zeal\":1", "zeal is not a known field");
  has("\"vocabulary\":10", "\"vocabulary\":0", "model.vocabulary is 0");
  has("\"kind\":\"window\"", "\"kind\":\"door\"", "masks[1].kind is \"door\"");
  has("\"window\":5", "\"window\":0", "masks[1].window");
  has("\"layer_mask\":[0,1,0]", "\"layer_mask\":[0,2,0]", "mask class 2 of 2");
  has("\"layer_mask\":[0,1,0]", "\"layer_mask\":[0,1]", "2 entries for 3");
  has("\"rows\":\"client\"", "\"rows\":\"cellar\"", "buffers[0].rows");
  has("\"type\":\"i32\"", "\"type\":\"i33\"", "buffers[0].type");
  has("scratch", "rope0", "name \"rope0\" twice");
  has("\"tables\":[\"client.position\"", "\"tables\":[\"wanted.row\"", "twice");
  has("panel:16:bf16", "panel:0:bf16", "weights[0].pack");
  has("panel:16:bf16", "panel:16:f16", "weights[0].pack");
  has("l.{}.q", "l.q", "weights[0].tensor");
  has("\"slot\":3", "\"slot\":2", "slot 2 twice");
  has("\"slot\":3", "\"slot\":-3", "out of range");
  has("\"shape\":[10,4]", "\"shape\":[10]", "1 dimensions");
  has("\"slice_rows\":[0,2]", "\"slice_rows\":[0,5]", "ends at 5 of 4");
  has("\"slice_rows\":[0,2]", "\"slice_rows\":[2,2]", "not a range");
  has("\"inverse_frequencies\":[0.1]", "\"inverse_frequencies\":[0.1,1]",
      "width 4");
}

TEST(Manifest, RefusesTextThatIsNotAnObject) {
  EXPECT_FALSE(Manifest::fromJson(""));
  EXPECT_FALSE(Manifest::fromJson("[]"));
  EXPECT_FALSE(Manifest::fromJson("{}"));
  EXPECT_FALSE(Manifest::fromJson("null"));
}

} // namespace
} // namespace rshard::runtime
