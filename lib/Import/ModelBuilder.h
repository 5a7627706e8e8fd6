//===- ModelBuilder.h - ops and weights of one model ------------*- C++ -*-===//
//
// What architectures are written with: every function adds one op, and with it
// the weights that the op needs.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_LIB_IMPORT_MODELBUILDER_H
#define RSHARD_LIB_IMPORT_MODELBUILDER_H

#include "Config.h"
#include "RShard/RShard.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "rshard/runtime/SafeTensors.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace rshard {

/// A range of rows of a tensor that has `total` rows.
struct RowRange {
  int64_t begin = 0, end = 0, total = 0;
};

/// How a weight lies in its tensor.
struct WeightStorage {
  /// Stored as [columns, rows] (GPT-2's Conv1D).
  bool transposed = false;
  /// Of the matrix after transposition, or of the vector.
  std::optional<RowRange> rows;
};

/// A linear layer or a norm: its weights are `tensor`.weight and `tensor`.bias,
/// the symbols @symbol.weight and @symbol.bias. A tensor's name holds `{}` for
/// the number of the layer.
struct Module {
  llvm::StringRef symbol;
  llvm::StringRef tensor;
  bool bias = false;
  WeightStorage storage = {};
};

struct Rotary {
  /// Radians per position, one per pair of a head.
  std::vector<double> frequencies;
  double scale = 1.0;
};

/// What distinguishes layers: those that agree share a function.
struct Attention {
  MaskAttr mask;
  double scale = 1.0;
  bool operator==(const Attention &other) const {
    return mask == other.mask && scale == other.scale;
  }
};

class ModelBuilder {
public:
  using Tensors = runtime::SafeTensors;
  /// `tensors`: null for random weights, which are whatever is asked for.
  ModelBuilder(Config &config, const Tensors *tensors);

  Config &getConfig() { return config; }
  Report &getReport() { return config.getReport(); }

  //===-- Tensors ---------------------------------------------------------===//

  /// Whether the files hold it; `{}` stands for layer 0.
  bool hasTensor(llvm::StringRef name) const;
  /// Size of dimension `dim`, or nullopt if there is no such tensor.
  std::optional<int64_t> getTensorSize(llvm::StringRef name,
                                       unsigned dim) const;
  /// The number of layers under `key` of config.json. Every layer has tensors
  /// of its own: more layers than tensors are refused before anything is made
  /// for each of them.
  int64_t readLayers(llvm::StringRef key);
  /// All tensors get this prefix (`transformer.`).
  void setPrefix(llvm::StringRef text) { prefix = text.str(); }
  /// These tensors need no note if no weight uses them: `*` stands for any
  /// text.
  void ignoreTensors(llvm::ArrayRef<llvm::StringLiteral> patterns);
  /// The tensors that were asked for, of random weights.
  Tensors takeDeclared() { return Tensors::describe(std::move(declared)); }
  /// Notes the tensors that no weight uses.
  void noteUnused();

  //===-- Program ---------------------------------------------------------===//

  /// Builds main(tokens, positions) = tail(layers(head(tokens, positions))):
  /// `attention` has one entry per layer, `layer` is called once per distinct
  /// one. Rows between the layers are `hidden` wide.
  void
  build(int64_t hidden, llvm::ArrayRef<Attention> attention,
        llvm::function_ref<mlir::Value(mlir::Value tokens)> head,
        llvm::function_ref<mlir::Value(mlir::Value rows, const Attention &)>
            layer,
        llvm::function_ref<mlir::Value(mlir::Value rows)> tail);
  void setRotary(const Rotary &rotary);

  MaskAttr getMask(MaskKind kind, int64_t window = 0);

  //===-- Ops: valid inside the functions that build() calls --------------===//

  /// Rows of `table` [size, width] by token id or, for learned positions, by
  /// position.
  mlir::Value embedTokens(mlir::Value tokens, const Module &table, int64_t size,
                          int64_t width);
  mlir::Value embedPositions(const Module &table, int64_t size, int64_t width);
  /// `row` is the shape of a row of the result: {width} or {heads, head size}.
  mlir::Value linear(mlir::Value x, const Module &module,
                     llvm::ArrayRef<int64_t> row);
  mlir::Value norm(NormKind kind, mlir::Value x, const Module &module,
                   double eps);
  mlir::Value addRow(mlir::Value x, const Module &module);
  mlir::Value rope(mlir::Value x);
  mlir::Value attention(mlir::Value query, mlir::Value key, mlir::Value value,
                        const Attention &attention);
  mlir::Value add(mlir::Value lhs, mlir::Value rhs);
  mlir::Value activation(Activation kind, mlir::Value x);
  mlir::Value gated(Activation kind, mlir::Value gate, mlir::Value up);

  mlir::OwningOpRef<mlir::ModuleOp> takeModule() { return std::move(module); }
  mlir::ModuleOp getModule() { return *module; }

private:
  mlir::Value parameter(llvm::StringRef symbol, llvm::StringRef tensor,
                        llvm::ArrayRef<int64_t> shape,
                        const WeightStorage &storage);
  mlir::RankedTensorType declare(llvm::StringRef symbol, llvm::StringRef tensor,
                                 llvm::ArrayRef<int64_t> shape,
                                 const WeightStorage &storage);
  mlir::Type check(llvm::StringRef tensor, llvm::ArrayRef<int64_t> shape,
                   mlir::Type expected);
  mlir::Value embed(mlir::Value ids, const Module &table, int64_t size,
                    int64_t width);
  mlir::RankedTensorType getRows(llvm::ArrayRef<int64_t> row);

  Config &config;
  const Tensors *tensors;
  std::vector<runtime::Tensor> declared; ///< if `tensors` is null
  mlir::OpBuilder builder;
  mlir::Location unknown;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::string prefix;
  int64_t layers = 0;
  /// Declarations stand in this order before the functions.
  mlir::Operation *lastDeclaration = nullptr;
  llvm::MapVector<llvm::StringRef, mlir::RankedTensorType> weights;
  std::set<std::string, std::less<>> used;
  std::vector<std::string> ignored;
  /// Of the function that is being built.
  mlir::Value layer, positions;
};

} // namespace rshard

#endif // RSHARD_LIB_IMPORT_MODELBUILDER_H
