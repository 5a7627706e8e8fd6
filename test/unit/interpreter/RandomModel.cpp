//===- RandomModel.cpp - random small transformers ------------------------===//

#include "RandomModel.h"
#include "RShard/RShard.h"
#include "RandomSets.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "rshard/Plan/PlanSymbols.h"
#include "rshard/Register.h"
#include "rshard/Transforms/Passes.h"

using namespace mlir;
using namespace rshard;
using namespace rshard::test;
using tokenset::Mask;
using tokenset::test::draw;

bool RandomModel::isBidirectional() const {
  return llvm::is_contained(masks, Mask::full());
}

namespace {

/// Sizes that all layers share.
struct Sizes {
  int64_t keyHeads, heads, headSize, width, inner, layers, vocabulary;
};

/// Writes one function; weights are declared as they are used.
class Writer {
public:
  Writer(const Sizes &sizes, std::string prefix, bool perLayer)
      : sizes(sizes), prefix(std::move(prefix)), perLayer(perLayer) {}

  std::string declarations, body;

  static std::string vector(int64_t size) {
    return "tensor<" + std::to_string(size) + "xf32>";
  }
  static std::string matrix(int64_t rows, int64_t columns) {
    return "tensor<" + std::to_string(rows) + "x" + std::to_string(columns) +
           "xf32>";
  }
  static std::string rows(int64_t width) {
    return "tensor<?x" + std::to_string(width) + "xf32>";
  }
  static std::string rows(int64_t heads, int64_t size) {
    return "tensor<?x" + std::to_string(heads) + "x" + std::to_string(size) +
           "xf32>";
  }

  /// Emits `%n = <text>` and returns `%n`.
  std::string emit(const std::string &text) {
    std::string name = "%v" + std::to_string(count++);
    body += "  " + name + " = " + text + "\n";
    return name;
  }
  std::string weight(const std::string &type) {
    std::string symbol = "@" + prefix + std::to_string(count);
    declarations +=
        "rshard.weight " + symbol + " \"" + prefix + (perLayer ? "{}." : "") +
        std::to_string(count) + "\"" +
        (perLayer ? " layers [0, " + std::to_string(sizes.layers) + ")" : "") +
        " : " + type + "\n";
    return emit("rshard.parameter " + symbol + (perLayer ? "[%layer]" : "") +
                " : " + type);
  }
  std::string linear(const std::string &x, const std::string &from,
                     int64_t inputs, const std::string &to, int64_t outputs,
                     bool hasBias) {
    std::string w = weight(matrix(outputs, inputs));
    std::string b = hasBias ? weight(vector(outputs)) : "";
    return emit("rshard.linear " + x + ", " + w +
                (hasBias ? " bias " + b : "") + " : (" + from + ", " +
                matrix(outputs, inputs) +
                (hasBias ? ", " + vector(outputs) : "") + ") -> " + to);
  }
  std::string norm(const std::string &x, const std::string &type, int64_t size,
                   bool isLayerNorm) {
    std::string scale = weight(vector(size));
    std::string bias = isLayerNorm ? weight(vector(size)) : "";
    return emit(std::string("rshard.norm ") +
                (isLayerNorm ? "layer " : "rms ") + x + ", " + scale +
                (isLayerNorm ? " bias " + bias : "") + " eps 1.0e-5 : " + type +
                ", " + vector(size) + (isLayerNorm ? ", " + vector(size) : ""));
  }
  std::string add(const std::string &a, const std::string &b) {
    return emit("rshard.add " + a + ", " + b + " : " + rows(sizes.width));
  }

private:
  const Sizes &sizes;
  std::string prefix;
  bool perLayer;
  int count = 0;
};

} // namespace

static bool flip() { return draw(0, 1); }

static std::string drawActivation() {
  static const char *const names[] = {"silu", "gelu", "gelu_tanh", "relu"};
  return names[draw(0, 3)];
}

/// One kind of layer, a function @name; returns declarations and function.
static std::string drawLayer(const Sizes &sizes, const std::string &name,
                             const Mask &mask) {
  Writer w(sizes, name, /*perLayer=*/true);
  auto [keyHeads, heads, size, width, inner, layers, vocabulary] = sizes;
  std::string hidden = Writer::rows(width), query = Writer::rows(heads, size),
              key = Writer::rows(keyHeads, size);
  bool isLayerNorm = flip(), normFirst = flip(), hasBias = flip();
  std::string h = normFirst ? w.norm("%x", hidden, width, isLayerNorm) : "%x";
  std::string q = w.linear(h, hidden, width, query, heads * size, hasBias);
  std::string k = w.linear(h, hidden, width, key, keyHeads * size, hasBias);
  std::string v = w.linear(h, hidden, width, key, keyHeads * size, flip());
  if (flip()) {
    q = w.norm(q, query, size, false);
    k = w.norm(k, key, size, false);
  }
  if (flip()) {
    q = w.emit("rshard.rope " + q + " at %positions by @rope : " + query +
               ", tensor<?xi32>");
    k = w.emit("rshard.rope " + k + " at %positions by @rope : " + key +
               ", tensor<?xi32>");
  }
  std::string maskText = mask.kind == tokenset::MaskKind::Full ? "<full>"
                         : mask.kind == tokenset::MaskKind::Causal
                             ? "<causal>"
                             : "<window " + std::to_string(mask.window) + ">";
  std::string o =
      w.emit("rshard.attention " + q + ", " + k + ", " + v + " mask " +
             maskText + " scale 0.7 : " + query + ", " + key);
  std::string y = w.linear(o, query, heads * size, hidden, width, hasBias);
  std::string r = w.add("%x", y);
  if (!normFirst)
    r = w.norm(r, hidden, width, isLayerNorm);
  std::string m = normFirst ? w.norm(r, hidden, width, isLayerNorm) : r;
  std::string wide = Writer::rows(inner);
  std::string up = w.linear(m, hidden, width, wide, inner, hasBias);
  std::string act =
      flip() ? w.emit("rshard.gated " + drawActivation() + " " + up + ", " +
                      w.linear(m, hidden, width, wide, inner, false) + " : " +
                      wide)
             : w.emit("rshard.activation " + drawActivation() + " " + up +
                      " : " + wide);
  std::string down = w.linear(act, wide, inner, hidden, width, hasBias);
  std::string z = w.add(r, down);
  if (!normFirst)
    z = w.norm(z, hidden, width, isLayerNorm);
  return w.declarations + "func.func private @" + name +
         "(%layer: index, %x: " + hidden + ", %positions: tensor<?xi32>) -> " +
         hidden + " {\n" + w.body + "  return " + z + " : " + hidden + "\n}\n";
}

RandomModel rshard::test::drawModel() {
  Sizes sizes;
  sizes.keyHeads = draw(1, 3);
  sizes.heads = sizes.keyHeads * draw(1, 3);
  sizes.headSize = 2 * draw(1, 3);
  sizes.width = draw(3, 9);
  sizes.inner = draw(2, 9);
  sizes.layers = draw(1, 4);
  sizes.vocabulary = draw(2, 12);

  RandomModel model;
  model.vocabulary = sizes.vocabulary;
  std::string frequencies = "1.0";
  for (int64_t i = 1; i < sizes.headSize / 2; ++i)
    frequencies += ", 0.3";
  model.text = "rshard.rotary @rope [" + frequencies + "] scale 1.1\n";

  // A bidirectional model has a full mask in some layer; the others may differ.
  bool isBidirectional = draw(0, 3) == 0;
  std::vector<Mask> masks;
  std::string names;
  for (int64_t kind = draw(0, std::min<int64_t>(2, sizes.layers - 1));
       kind >= 0; --kind) {
    int64_t choice = draw(isBidirectional ? 0 : 1, 2);
    masks.push_back(choice == 0   ? Mask::full()
                    : choice == 1 ? Mask::causal()
                                  : Mask::windowed(draw(1, 8)));
    std::string name = "kind" + std::to_string(masks.size());
    model.text += drawLayer(sizes, name, masks.back());
    names += (names.empty() ? "@" : ", @") + name;
  }
  std::string order;
  for (int64_t layer = 0; layer < sizes.layers; ++layer) {
    int64_t kind = draw(0, masks.size() - 1);
    model.masks.push_back(masks[kind]);
    order += (layer ? ", " : "") + std::to_string(kind);
  }

  Writer w(sizes, "client", /*perLayer=*/false);
  std::string hidden = Writer::rows(sizes.width);
  auto embed = [&](const std::string &ids, int64_t rows) {
    std::string type = Writer::matrix(rows, sizes.width);
    return w.emit("rshard.embedding " + ids + " of " + w.weight(type) +
                  " : (tensor<?xi32>, " + type + ") -> " + hidden);
  };
  std::string x = embed("%tokens", sizes.vocabulary);
  if (flip())
    x = w.add(x, embed("%positions", 64));
  if (flip())
    x = w.emit("rshard.add_row " + x + ", " +
               w.weight(Writer::vector(sizes.width)) + " : " + hidden + ", " +
               Writer::vector(sizes.width));
  std::string y = w.emit("rshard.layers [" + names + "] [" + order + "] (" + x +
                         ", %positions) : " + hidden + ", tensor<?xi32>");
  std::string result = hidden;
  if (flip())
    y = w.norm(y, hidden, sizes.width, flip());
  if (flip()) {
    result = Writer::rows(sizes.vocabulary);
    y = w.linear(y, hidden, sizes.width, result, sizes.vocabulary, flip());
  }
  model.text += w.declarations +
                "func.func @main(%tokens: tensor<?xi32>, %positions: "
                "tensor<?xi32>) -> " +
                result + " {\n" + w.body + "  return " + y + " : " + result +
                "\n}\n";
  return model;
}

MLIRContext &rshard::test::getContext() {
  static MLIRContext *context = [] {
    DialectRegistry registry;
    registerDialects(registry);
    auto *made = new MLIRContext(registry, MLIRContext::Threading::DISABLED);
    made->loadAllAvailableDialects();
    return made;
  }();
  return *context;
}

OwningOpRef<ModuleOp> rshard::test::parseModel(MLIRContext &context,
                                               const RandomModel &model) {
  return parseSourceString<ModuleOp>(model.text, &context);
}

OwningOpRef<ModuleOp> rshard::test::partition(ModuleOp model,
                                              const tokenset::Plan &plan) {
  OwningOpRef<ModuleOp> module = model.clone();
  if (failed(attachPlan(*module, plan)))
    return nullptr;
  PassManager passes(module->getContext());
  passes.addPass(createPartitionPass());
  if (failed(passes.run(*module)))
    return nullptr;
  return module;
}
