#include "rshard/runtime/Manifest.h"
#include "rshard/runtime/ABI.h"
#include "rshard/tokenset/Exchange.h"

#include <cstring>
#include <gtest/gtest.h>

namespace rshard::runtime {
namespace {

constexpr tokenset::RowTypes sampleTypes{ElementType::BF16, ElementType::F32};

Manifest sample() {
  Manifest m;
  m.abi = RSHARD_ABI_VERSION;
  m.producer = "rshard 0";
  m.model.architecture = "Toy";
  m.model.vocabulary = 10;
  m.model.leaveWidth = 4;
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
               {"workspace", ElementType::F16, 1, RowClass::Workspace}};
  m.tables = {"client.position", "wanted.row"};
  m.weights = {
      {"q",
       {{0, 3}},
       0,
       "panel:16:bf16",
       {{"l.{}.q", {4, 4}, {{0, 2}}, {}, true}}},
      {"n", {}, 3, "vector", {{"norm", {4}, {}, {}, false}}},
      {"e", {}, 4, "rows:f32", {{"embed", {10, 4}, {}, {}, false}}},
      {"gu",
       {},
       5,
       "interleave8:bf16",
       {{"gate", {16, 4}, {}, {}, false}, {"up", {16, 4}, {}, {}, false}}}};
  m.rope = {{"rope0", {0.1}, 1.5}};
  m.exchanges = standardExchanges(m.model, sampleTypes);
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
  EXPECT_EQ(again->weights, m.weights);
  EXPECT_EQ(again->rope[0].inverseFrequencies, m.rope[0].inverseFrequencies);
  EXPECT_EQ(again->weightSlots(), 6);
  EXPECT_EQ(again->buffers[2].type, ElementType::F16);
  EXPECT_EQ(again->exchanges[1].tensors[0].type, ElementType::BF16);
}

TEST(Manifest, AttentionOnly) {
  Manifest m = sample();
  m.model.attentionOnly = true;
  m.model.layers = 1;
  m.model.layerMask = {1};
  m.weights = {};
  m.exchanges = standardExchanges(m.model, sampleTypes);
  EXPECT_EQ(m.exchanges.front().tensors[0].width, 2 * (2 + 1 + 1));
  EXPECT_EQ(m.exchanges.back().tensors[0].width, 4);
  Expected<Manifest> again = Manifest::fromJson(m.toJson());
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE(again->model.attentionOnly);
  EXPECT_EQ(again->model.vocabulary, 0);
  EXPECT_EQ(again->toJson(), m.toJson());
  EXPECT_NE(errorAfter("\"vocabulary\":10", "\"attention_only\":true")
                .find("model.layers is 3"),
            std::string::npos);
  EXPECT_NE(errorAfter("\"bidirectional\"",
                       "\"attention_only\":true,\"bidirectional\"")
                .find("model.vocabulary is not a known field"),
            std::string::npos);
}

TEST(Manifest, KnowsRowClassesByName) {
  for (int i = 0; i <= static_cast<int>(RowClass::Workspace); ++i) {
    auto rows = static_cast<RowClass>(i);
    EXPECT_EQ(rowClassFromName(rowClassName(rows)), rows);
  }
  EXPECT_EQ(rowClassFromName("x"), std::nullopt);
}

TEST(Manifest, ListsExchangesInOrder) {
  using tokenset::downExchange, tokenset::enterExchange,
      tokenset::leaveExchange, tokenset::upExchange;
  std::vector<ExchangeSpec> list =
      standardExchanges(sample().model, sampleTypes);
  ASSERT_EQ(list.size(), 6u);
  EXPECT_EQ(list[enterExchange()].name, "enter");
  EXPECT_EQ(list[upExchange(1)].name, "up1");
  EXPECT_EQ(list[downExchange(0)].name, "down0");
  EXPECT_EQ(list[leaveExchange(2)].name, "leave");
  EXPECT_EQ(list[upExchange(1)].tensors[1].width, 2);
  EXPECT_EQ(list[downExchange(1)].tensors[1].width, 2);
  for (const ExchangeSpec &exchange : list)
    for (const ExchangeTensor &tensor : exchange.tensors)
      EXPECT_EQ(tensor.type, tensor.name.starts_with("partial")
                                 ? ElementType::F32
                                 : ElementType::BF16)
          << tensor.name;
  list =
      standardExchanges(sample().model, {ElementType::F16, ElementType::F16});
  EXPECT_EQ(list[downExchange(0)].tensors[0].type, ElementType::F16);
  EXPECT_EQ(list[downExchange(0)].tensors[1].type, ElementType::F32); // lse
}

/// Its fields were others: none of them is looked at.
TEST(Manifest, OfAnotherInterfaceIsNotRead) {
  Manifest m = sample();
  m.abi = RSHARD_ABI_VERSION - 1;
  std::string text = m.toJson();
  const std::string field = "\"leave_width\"";
  size_t at = text.find(field);
  ASSERT_NE(at, std::string::npos) << text;
  text.replace(at, field.size(), "\"hidden\"");
  Expected<Manifest> read = Manifest::fromJson(text);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().message, "artifact for runtime interface " +
                                      std::to_string(RSHARD_ABI_VERSION - 1) +
                                      ", this is " +
                                      std::to_string(RSHARD_ABI_VERSION) +
                                      ": compile the model again");
}

TEST(Manifest, NamesTheFieldThatIsWrong) {
  auto has = [](const char *from, const char *to, const char *text) {
    std::string error = errorAfter(from, to);
    EXPECT_NE(error.find(text), std::string::npos) << error;
  };
  has("\"abi\":", "\"abi\":\"1\",\"ibi\":", "abi is not an integer");
  has("\"abi\":", "\"ibi\":", "abi is missing");
  has("\"producer\":\"rshard 0\"", "\"producer\":0",
      "producer is not a string");
  has("\"scale\":1.5", "\"scale\":\"1.5\"", "rope[0].scale is not a number");
  has("\"has_head\":true", "\"has_head\":1",
      "model.has_head is not true or false");
  has("\"features\":[\"avx2\",\"fma\"]", "\"features\":\"avx2\"",
      "target.features is not an array");
  has("\"features\":[\"avx2\",\"fma\"]", "\"features\":[2]",
      "target.features has an element of the wrong type");
  has("\"abi\":", "\"zeal\":1,\"abi\":", "zeal is not a known field");
  has("\"vocabulary\":10", "\"vocabulary\":0", "model.vocabulary is 0");
  has("\"kind\":\"window\"", "\"kind\":\"door\"", "masks[1].kind is \"door\"");
  has("\"window\":5", "\"window\":0", "masks[1].window");
  has("\"layer_mask\":[0,1,0]", "\"layer_mask\":[0,2,0]", "mask class 2 of 2");
  has("\"layer_mask\":[0,1,0]", "\"layer_mask\":[0,1]", "2 entries for 3");
  has("\"rows\":\"client\"", "\"rows\":\"cellar\"", "buffers[0].rows");
  has("\"type\":\"i32\"", "\"type\":\"i33\"", "buffers[0].type");
  has("\"type\":\"bf16\"", "\"type\":\"f8\"",
      "exchanges[0].tensors[0].type is \"f8\"");
  has("scratch", "rope0", "name \"rope0\" twice");
  has("\"tables\":[\"client.position\"", "\"tables\":[\"wanted.row\"", "twice");
  for (const char *pack :
       {"panel:0:bf16", "panel:04:bf16", "panel:4x:bf16", "panel::bf16",
        "panel:16:f16", "panel:16", "rows:i32", "interleave4:f32", "join"})
    has("panel:16:bf16", pack, "which is not known");
  has("l.{}.q", "l.q", "weights[0].parts[0].tensor");
  has("\"slot\":3", "\"slot\":2", "slot 2 twice");
  has("\"slot\":3", "\"slot\":-3", "out of range");
  has("\"slot\":5", "\"slot\":7",
      "weights use 6 slots and not the first ones alone, but 7 too");
  has("\"layers\":[0,3]", "\"layers\":[0,4]",
      "weights are of layers up to 4, the model has 3");
  has("\"scale\":null", "\"scale\":1", "weights[0].scale is not an object");
  has("\"shape\":[10,4]", "\"shape\":[10]", "2 dimensions are required");
  has("\"shape\":[10,4]", "\"shape\":[0,4]", "parts[0].shape has the dim");
  has("\"slice_rows\":[0,2]", "\"slice_rows\":[0,5]", "outside of [4, 4]");
  has("\"slice_rows\":[0,2]", "\"slice_rows\":[2,2]", "not a range");
  has("\"inverse_frequencies\":[0.1]", "\"inverse_frequencies\":[0.1,1]",
      "width 4");
}

TEST(Manifest, RefusesPartsThatDoNotGoTogether) {
  auto has = [](const char *from, const char *to, const char *text) {
    std::string error = errorAfter(from, to);
    EXPECT_NE(error.find(text), std::string::npos) << error;
  };
  has("\"shape\":[16,4],\"slice_columns\":null",
      "\"shape\":[24,4],\"slice_columns\":null",
      "weights[3].pack is \"interleave8:bf16\": tensor \"up\" gives 16 rows of "
      "4, the first part 24 of 4");
  has("\"shape\":[16,4],\"slice_columns\":null",
      "\"shape\":[16,8],\"slice_columns\":[1,4]",
      "\"up\" gives 16 rows of 4, the first part 16 of 3");
  has("interleave8:bf16", "rows:bf16", "is \"rows:bf16\" with 2 parts");
  has("\"parts\":[{\"shape\":[10,4],\"slice_columns\":null,\"slice_rows\":null,"
      "\"tensor\":\"embed\",\"transposed\":false}]",
      "\"parts\":[]", "is \"rows:f32\" with 0 parts");
  Manifest m = sample();
  auto error = [&] {
    Expected<Manifest> read = Manifest::fromJson(m.toJson());
    return read ? "" : read.error().message;
  };
  WeightSpec &both = m.weights[3];
  both.parts[0].shape = both.parts[1].shape = {12, 4};
  EXPECT_NE(error().find("of 12 rows, a multiple of 8"), std::string::npos);
  both.pack = "join:f16";
  EXPECT_EQ(error(), "");
  both.parts[0].shape = {12};
  EXPECT_NE(error().find("\"up\" gives 12 rows of 4"), std::string::npos);
  both.parts[1].shape = {3};
  EXPECT_EQ(error(), "");
  both.parts[1].transposed = true;
  EXPECT_NE(error().find("is a vector and transposed"), std::string::npos);
}

TEST(Manifest, RefusesScalesThatDoNotFit) {
  Manifest m = sample();
  auto error = [&] {
    Expected<Manifest> read = Manifest::fromJson(m.toJson());
    return read ? std::string() : read.error().message;
  };
  auto has = [&](const char *text) {
    EXPECT_NE(error().find(text), std::string::npos) << error();
  };
  WeightSpec &both = m.weights[3];
  both.scale = WeightPart{"s", {4}};
  EXPECT_EQ(error(), "");
  EXPECT_EQ(Manifest::fromJson(m.toJson())->weights[3].scale, both.scale);
  both.scale->shape = {5};
  has("weights[3].pack is \"interleave8:bf16\": scale \"s\" ");
  has("has 5 elements, the weight has 4 columns");
  both.scale->sliceRows = {1, 5};
  EXPECT_EQ(error(), "");
  both.scale->sliceRows = {1, 6};
  has("slice is outside of [5]");
  both.scale->sliceRows = {};
  both.scale->shape = {3, 4};
  has("has shape [3, 4], a vector is one row of it vs 3");
  both.scale->sliceRows = {1, 2};
  EXPECT_EQ(error(), "");
  both.scale->shape = {3, 4, 1};
  has("has shape [3, 4, 1], a vector is required");
  both.scale->tensor = "{}.s";
  has("weights[3].scale.tensor is \"{}.s\"");
  both.scale = {};
  m.weights[1].scale = WeightPart{"s", {1}};
  has("is \"vector\" with a scale of columns");
}

TEST(Manifest, ChecksKernels) {
  Manifest m = sample();
  m.target.name = "cuda";
  m.target.chip = "sm_90a";
  m.hostTables = {"wanted.row"};
  KernelParameter map{ParameterKind::Map, 1, ElementType::BF16};
  map.extents = {{64}, {2, 3}};
  map.strides = {{128}};
  map.box = {64, 16};
  map.swizzle = 128;
  m.kernels = {{"norm",
                256,
                1024,
                2,
                4,
                {{0, 8}, {2, 1}},
                {{ParameterKind::Pointer, 0},
                 {ParameterKind::Rows, 0},
                 {ParameterKind::Scalar, 2},
                 map}},
               {"add"}};
  Expected<Manifest> again = Manifest::fromJson(m.toJson());
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->kernels, m.kernels);
  EXPECT_EQ(again->hostTables, m.hostTables);
  EXPECT_EQ(again->target.chip, "sm_90a");
  EXPECT_EQ(m.kernels[0].arguments(), 4); // an extent uses argument 3
  EXPECT_EQ(m.kernels[1].arguments(), 0);

  auto has = [&](auto change, const char *text) {
    Manifest bad = m;
    change(bad, bad.kernels[0], bad.kernels[0].parameters[3]);
    Expected<Manifest> read = Manifest::fromJson(bad.toJson());
    std::string error = read ? "" : read.error().message;
    EXPECT_NE(error.find(text), std::string::npos) << error;
  };
#define CHANGE(what)                                                           \
  [](Manifest &all, KernelSpec &kernel, KernelParameter &last) {               \
    (void)all, (void)kernel, (void)last;                                       \
    what;                                                                      \
  }
  has(CHANGE(all.target.chip = ""), "target is cuda with the chip \"\"");
  has(CHANGE(all.target.name = "cpu"), "target is cpu with the chip");
  has(CHANGE(all.target = {}), "kernels and host_tables belong to");
  has(CHANGE(all.target = {}; all.kernels.clear()), "kernels and host_tables");
  has(CHANGE(all.hostTables.push_back("x")), "name \"x\", which is not in");
  has(CHANGE(all.hostTables.push_back("wanted.row")), "or twice");
  has(CHANGE(all.kernels[1].name = "norm"), "kernels name \"norm\" twice");
  has(CHANGE(kernel.name = ""), "kernels[0].name is empty");
  has(CHANGE(kernel.threads = 1056), "kernels[0].threads is 1056, 1 to 1024");
  has(CHANGE(kernel.threads = 33), "kernels[0].threads is 33, a multiple of");
  has(CHANGE(kernel.shared = 232449), "kernels[0].shared is 232449, 0 to");
  has(CHANGE(kernel.blocks = 0), "kernels[0].blocks is 0");
  has(CHANGE(kernel.resident = -1), "kernels[0].resident is -1");
  has(CHANGE(kernel.grid[0].per = 0), "kernels[0].grid has the entry [0, 0]");
  has(CHANGE(kernel.grid[1].argument = 64), "has the entry [64, 1]");
  has(CHANGE(last.argument = -1), "parameters[3].argument is -1, 0 to 63");
  has(CHANGE(last.type = ElementType::I32), "parameters[3].type is i32");
  has(CHANGE(last.extents.clear()), "extents has 0 dimensions, 1 to 5");
  has(CHANGE(last.extents[0].factor = 0), "extents has the size 0");
  has(CHANGE(last.extents[1].argument = 64), "extents[1].argument is 64");
  has(CHANGE(last.strides.clear()), "strides has 0 entries for 2 dimensions");
  has(CHANGE(last.strides[0].factor = 120),
      "strides has the size 120, a multiple of 16");
  has(CHANGE(last.box.pop_back()), "box has 1 entries for 2 dimensions");
  has(CHANGE(last.box[1] = 257), "box has the size 257");
  has(CHANGE(last.box[0] = 4), "box has rows of 8 bytes");
  has(CHANGE(last.swizzle = 64), "box has rows of 128 bytes");
  has(CHANGE(last.swizzle = 48), "swizzle is 48");
#undef CHANGE
  auto text = [&](const char *from, const char *to, const char *message) {
    std::string json = m.toJson();
    size_t at = json.find(from);
    ASSERT_NE(at, std::string::npos) << from << " in " << json;
    json.replace(at, std::strlen(from), to);
    Expected<Manifest> read = Manifest::fromJson(json);
    std::string error = read ? "" : read.error().message;
    EXPECT_NE(error.find(message), std::string::npos) << error;
  };
  text("\"kind\":\"rows\"", "\"kind\":\"columns\"", "[1].kind is \"columns\"");
  text("\"kind\":\"rows\"", "\"kind\":\"rows\",\"box\":[1]",
       "[1].box is not a known field");
  text("\"grid\":[[0,8]", "\"grid\":[[0]", "not [argument, per]");
  text("{\"argument\":3,\"times\":2}", "{\"argument\":3}",
       "extents[1].times is missing");
  text("{\"argument\":3,\"times\":2}", "true",
       "extents has an element of the wrong type");
  text("\"shared\":1024", "\"shared\":1024,\"cluster\":2",
       "kernels[0].cluster is not a known field");
}

TEST(Manifest, RefusesTextThatIsNotAnObject) {
  EXPECT_FALSE(Manifest::fromJson(""));
  EXPECT_FALSE(Manifest::fromJson("[]"));
  EXPECT_FALSE(Manifest::fromJson("{}"));
  EXPECT_FALSE(Manifest::fromJson("null"));
}

} // namespace
} // namespace rshard::runtime
