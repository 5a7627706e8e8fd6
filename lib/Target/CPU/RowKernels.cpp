//===- RowKernels.cpp - elementwise kernels, RoPE, and moves of rows ------===//

#include "KernelTypes.h"
#include "llvm/ADT/Twine.h"

using namespace mlir;

namespace rshard::cpu {

/// A kernel over all elements: `body` gets a row, a column and the lanes there.
static void
eachElement(KernelBuilder &k, Memory y, int64_t width, int64_t lanes,
            function_ref<Float(Index row, Index column, Lanes lanes)> body) {
  k.parallel({k.rows(y)}, [&](At at) {
    k.chunks(width, lanes, [&](Index column, Lanes part) {
      k.store(body(at[0], column, part), y, {at[0], column}, part);
    });
  });
}

func::FuncOp KernelLibrary::activation(int64_t width,
                                       std::optional<Activation> activation) {
  KernelTypes types(module.getContext());
  Type matrix = types.matrix(width);
  std::string name =
      ((activation ? nameOf(activation) : "copy") + "_" + Twine(width)).str();
  return define(name, {matrix, matrix}, [&](KernelBuilder &k, ValueRange args) {
    eachElement(k, args[1], width, rowLanes(),
                [&](Index row, Index column, Lanes lanes) {
                  return activate(activation,
                                  k.load(args[0], {row, column}, lanes));
                });
  });
}

func::FuncOp KernelLibrary::columns(int64_t total, int64_t first,
                                    int64_t width) {
  KernelTypes types(module.getContext());
  std::string name = (Twine("columns_") + Twine(width) + "_from_" +
                      Twine(first) + "_of_" + Twine(total))
                         .str();
  return define(name, {types.matrix(total), types.matrix(width)},
                [&](KernelBuilder &k, ValueRange args) {
                  eachElement(k, args[1], width, rowLanes(),
                              [&](Index row, Index column, Lanes lanes) {
                                return k.load(args[0], {row, column + first},
                                              lanes);
                              });
                });
}

func::FuncOp KernelLibrary::gated(const GatedParams &params) {
  KernelTypes types(module.getContext());
  Type matrix = types.matrix(params.width);
  std::string name =
      (Twine("gated_") + Twine(params.width) + "_" + nameOf(params.activation))
          .str();
  return define(name, {matrix, matrix, matrix},
                [&](KernelBuilder &k, ValueRange args) {
                  Memory gate = args[0], up = args[1];
                  eachElement(k, args[2], params.width, rowLanes(),
                              [&](Index row, Index column, Lanes lanes) {
                                Float g = k.load(gate, {row, column}, lanes);
                                Float u = k.load(up, {row, column}, lanes);
                                return activate(params.activation, g) * u;
                              });
                });
}

func::FuncOp KernelLibrary::add(int64_t width) {
  KernelTypes types(module.getContext());
  Type matrix = types.matrix(width);
  return define((Twine("add_") + Twine(width)).str(), {matrix, matrix, matrix},
                [&](KernelBuilder &k, ValueRange args) {
                  eachElement(k, args[2], width, rowLanes(),
                              [&](Index row, Index column, Lanes lanes) {
                                return k.load(args[0], {row, column}, lanes) +
                                       k.load(args[1], {row, column}, lanes);
                              });
                });
}

func::FuncOp KernelLibrary::addRow(int64_t width) {
  KernelTypes types(module.getContext());
  Type matrix = types.matrix(width);
  return define((Twine("addrow_") + Twine(width)).str(),
                {matrix, types.vector(width), matrix},
                [&](KernelBuilder &k, ValueRange args) {
                  eachElement(k, args[2], width, rowLanes(),
                              [&](Index row, Index column, Lanes lanes) {
                                return k.load(args[0], {row, column}, lanes) +
                                       k.load(args[1], {column}, lanes);
                              });
                });
}

func::FuncOp KernelLibrary::rope(const RopeParams &params) {
  KernelTypes types(module.getContext());
  int64_t d = params.headWidth, half = d / 2;
  Type matrix = types.matrix(params.heads * d);
  std::string name =
      (Twine("rope_") + Twine(params.heads) + "x" + Twine(d)).str();
  return define(
      name, {matrix, types.table(), types.matrix(d), matrix},
      [&](KernelBuilder &k, ValueRange args) {
        Memory x = args[0], positions = args[1], table = args[2], y = args[3];
        k.parallel({k.rows(y)}, [&](At at) {
          Index row = at[0];
          // The global position (C4).
          Index position = k.loadIndex(positions, {row});
          k.chunks(half, rowLanes(), [&](Index pair, Lanes lanes) {
            Float cos = k.load(table, {position, pair}, lanes);
            Float sin = k.load(table, {position, pair + half}, lanes);
            k.forEach(k.index(0), k.index(params.heads), 1, [&](Index head) {
              Index low = head * d + pair, high = low + half;
              Float a = k.load(x, {row, low}, lanes);
              Float b = k.load(x, {row, high}, lanes);
              k.store(a * cos - b * sin, y, {row, low}, lanes);
              k.store(b * cos + a * sin, y, {row, high}, lanes);
            });
          });
        });
      });
}

func::FuncOp KernelLibrary::embed(const EmbedParams &params) {
  KernelTypes types(module.getContext());
  std::string name =
      (Twine("embed_") + Twine(params.width) + "_" + nameOf(params.element) +
       (params.accumulate ? "_accumulate" : "") +
       (params.constant ? "_constant" : ""))
          .str();
  SmallVector<Type> arguments{types.table(),
                              types.matrix(params.width, params.element)};
  if (params.constant)
    arguments.push_back(types.vector(params.width));
  arguments.push_back(types.matrix(params.width));
  return define(name, arguments, [&](KernelBuilder &k, ValueRange args) {
    Memory ids = args[0], table = args[1], y = args.back();
    k.parallel({k.rows(y)}, [&](At at) {
      Index row = at[0], id = k.loadIndex(ids, {row});
      k.chunks(params.width, rowLanes(), [&](Index column, Lanes lanes) {
        Float value = k.load(table, {id, column}, lanes);
        if (params.constant)
          value = value + k.load(args[2], {column}, lanes);
        if (params.accumulate)
          value = k.load(y, {row, column}, lanes) + value;
        k.store(value, y, {row, column}, lanes);
      });
    });
  });
}

/// to[toRow] = from[fromRow]
static void copyRow(KernelBuilder &k, Memory from, Index fromRow, Memory to,
                    Index toRow, int64_t width, int64_t lanes) {
  k.chunks(width, lanes, [&](Index column, Lanes lanes) {
    k.store(k.load(from, {fromRow, column}, lanes), to, {toRow, column}, lanes);
  });
}

func::FuncOp KernelLibrary::gather(int64_t width) {
  KernelTypes types(module.getContext());
  Type matrix = types.matrix(width);
  return define((Twine("gather_") + Twine(width)).str(),
                {matrix, types.table(), matrix},
                [&](KernelBuilder &k, ValueRange args) {
                  Memory pool = args[0], source = args[1], y = args[2];
                  k.parallel({k.rows(source)}, [&](At at) {
                    copyRow(k, pool, k.loadIndex(source, {at[0]}), y, at[0],
                            width, rowLanes());
                  });
                });
}

func::FuncOp KernelLibrary::append(int64_t width) {
  KernelTypes types(module.getContext());
  Type matrix = types.matrix(width), table = types.table();
  return define(
      (Twine("append_") + Twine(width)).str(), {matrix, table, matrix, table},
      [&](KernelBuilder &k, ValueRange args) {
        Memory pool = args[0], source = args[1], cache = args[2], row = args[3];
        k.parallel({k.rows(source)}, [&](At at) {
          copyRow(k, pool, k.loadIndex(source, {at[0]}), cache,
                  k.loadIndex(row, {at[0]}), width, rowLanes());
        });
      });
}

} // namespace rshard::cpu
