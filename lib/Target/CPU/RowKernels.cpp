//===- RowKernels.cpp - elementwise kernels, RoPE, and moves of rows ------===//

#include "KernelTypes.h"
#include "llvm/ADT/Twine.h"

using namespace mlir;

namespace rshard::cpu {

func::FuncOp KernelLibrary::gated(const GatedParams &params) {
  KernelTypes types(module.getContext());
  Type matrix = types.matrix(params.width);
  std::string name =
      (Twine("gated_") + Twine(params.width) + "_" + nameOf(params.activation))
          .str();
  return define(
      name, {matrix, matrix, matrix}, [&](KernelBuilder &k, ValueRange args) {
        Memory gate = args[0], up = args[1], y = args[2];
        k.parallel({k.rows(y)}, [&](At at) {
          Index row = at[0];
          k.chunks(params.width, rowLanes(), [&](Index column, Lanes lanes) {
            Float g =
                activate(params.activation, k.load(gate, {row, column}, lanes));
            Float u = k.load(up, {row, column}, lanes);
            k.store(g * u, y, {row, column}, lanes);
          });
        });
      });
}

func::FuncOp KernelLibrary::add(int64_t width) {
  KernelTypes types(module.getContext());
  Type matrix = types.matrix(width);
  return define((Twine("add_") + Twine(width)).str(), {matrix, matrix, matrix},
                [&](KernelBuilder &k, ValueRange args) {
                  Memory a = args[0], b = args[1], y = args[2];
                  k.parallel({k.rows(y)}, [&](At at) {
                    k.chunks(width, rowLanes(), [&](Index column, Lanes lanes) {
                      k.store(k.load(a, {at[0], column}, lanes) +
                                  k.load(b, {at[0], column}, lanes),
                              y, {at[0], column}, lanes);
                    });
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
                  k.parallel({k.rows(args[2])}, [&](At at) {
                    copyRow(k, args[0], k.loadIndex(args[1], {at[0]}), args[2],
                            at[0], width, rowLanes());
                  });
                });
}

func::FuncOp KernelLibrary::append(int64_t width) {
  KernelTypes types(module.getContext());
  Type matrix = types.matrix(width), table = types.table();
  return define(
      (Twine("append_") + Twine(width)).str(),
      {matrix, matrix, table, table, matrix, matrix},
      [&](KernelBuilder &k, ValueRange args) {
        k.parallel({k.rows(args[2])}, [&](At at) {
          Index source = k.loadIndex(args[2], {at[0]});
          Index row = k.loadIndex(args[3], {at[0]});
          copyRow(k, args[0], source, args[4], row, width, rowLanes());
          copyRow(k, args[1], source, args[5], row, width, rowLanes());
        });
      });
}

} // namespace rshard::cpu
