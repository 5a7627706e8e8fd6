//===- RShardKernelOps.td - kernels of a device -------------*- tablegen -*-===//
//
// What the driver of a rank runs on a device, and how the runtime launches it.
//
//===----------------------------------------------------------------------===//

#ifndef RSHARD_KERNEL_OPS_TD
#define RSHARD_KERNEL_OPS_TD

def RShard_PointerAttr : RShard_Attr<"Pointer", "pointer"> {
  let summary = "a kernel's parameter: the device address of an argument";
  let parameters = (ins "int64_t":$argument);
  let assemblyFormat = "`<` $argument `>`";
}

def RShard_RowsAttr : RShard_Attr<"Rows", "rows"> {
  let summary = "a kernel's parameter: the number of rows of an argument, i32";
  let parameters = (ins "int64_t":$argument);
  let assemblyFormat = "`<` $argument `>`";
}

def RShard_ScalarAttr : RShard_Attr<"Scalar", "scalar"> {
  let summary = "a kernel's parameter: an integer argument, i32";
  let parameters = (ins "int64_t":$argument);
  let assemblyFormat = "`<` $argument `>`";
}

def RShard_SizeAttr : RShard_Attr<"Size", "size"> {
  let summary = "a number that may depend on an argument of the launch";
  let description = [{
    `factor`, or `factor` times the value of an argument: the rows of a view, or the integer.

    ```mlir
    #rshard.size<128>
    #rshard.size<2 * 3>  // twice the value of argument 3
    ```
  }];
  let parameters = (ins "int64_t":$factor, DefaultValuedParameter<"int64_t", "-1">:$argument);
  let assemblyFormat = "`<` $factor (`*` $argument^)? `>`";
}

def RShard_MapAttr : RShard_Attr<"Map", "map"> {
  let summary = "a kernel's parameter: a tensor map of an argument";
  let description = [{
    What the tensor memory accelerator needs to copy boxes of a tensor: extents in elements, innermost dimension first;
    the strides of the other dimensions in bytes; the box; and the swizzle of the box in shared memory in bytes.
    (CUDA driver API, cuTensorMapEncodeTiled.)

    Constraints: 1 to 5 dimensions; extents and strides are at least 1, or times an argument; one stride less than extents; as many box sizes as extents, each 1 to 256;
    swizzle 0, 32, 64 or 128.

    ```mlir
    #rshard.map<0, bf16, extents [<4096>, <1 * 0>] strides [<8192>] box [64, 128] swizzle 128>
    ```
  }];
  let parameters = (ins "int64_t":$argument, "::mlir::Type":$element, ArrayRefParameter<"SizeAttr">:$extents,
                        OptionalArrayRefParameter<"SizeAttr">:$strides, ArrayRefParameter<"int64_t">:$box, "int64_t":$swizzle);
  let assemblyFormat = [{
    `<` $argument `,` $element `,` `extents` `[` $extents `]` `strides` `[` (`]`) : ($strides^ `]`)? `box` `[` $box `]`
    `swizzle` $swizzle `>`
  }];
  let genVerifyDecl = 1;
}

def RShard_BlocksAttr : RShard_Attr<"Blocks", "blocks"> {
  let summary = "a factor of a grid: the value of an argument, divided and rounded up";
  let parameters = (ins "int64_t":$argument, "int64_t":$per);
  let assemblyFormat = "`<` $argument `,` $per `>`";
  let genVerifyDecl = 1;
}

def RShard_KernelAttr : RShard_Attr<"Kernel", "kernel"> {
  let summary = "how a kernel is launched";
  let description = [{
    Sits on a kernel as `rshard.kernel`. A launch has *arguments* (see `rshard.run`), from which the runtime derives the
    kernel's *parameters*. The grid has one dimension: `blocks` times the product of the terms of `grid`, at most the
    number of multiprocessors times `resident` if that is not 0 (a persistent kernel). `shared` counts bytes of dynamic
    shared memory.

    Constraints: at least one thread and one block; parameters are `pointer`, `rows`, `scalar` and `map`; arguments are
    numbered from 0 to 2147483647. A target may allow less: see the [CUDA target](../cuda-target.md).

    ```mlir
    #rshard.kernel<threads = 256, shared = 0, blocks = 1, resident = 0, grid [<0, 1>] parameters [#rshard.pointer<0>, #rshard.rows<0>]>
    ```
  }];
  let parameters = (ins "int64_t":$threads, "int64_t":$shared, "int64_t":$blocks, "int64_t":$resident,
                        OptionalArrayRefParameter<"BlocksAttr">:$grid,
                        ArrayRefParameter<"::mlir::Attribute">:$parameters);
  let assemblyFormat = [{
    `<` `threads` `=` $threads `,` `shared` `=` $shared `,` `blocks` `=` $blocks `,` `resident` `=` $resident `,`
    `grid` `[` (`]`) : ($grid^ `]`)? `parameters` `[` $parameters `]` `>`
  }];
  let genVerifyDecl = 1;
}

def RShard_RunOp : RShard_Op<"run", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "run a kernel of the device";
  let description = [{
    Arguments are views of buffers, tables and weights, and integers: i1, i32, i64 or index. Runs of one frame follow one another in program
    order.

    Constraints: the symbol has the attribute `rshard.kernel`; every argument that it names exists, is a view where an
    address or a map is taken of it, and an integer where its value is passed.

    ```mlir
    rshard.run @kernels::@norm of %frame(%x, %scale, %y) : memref<?x64xbf16>, memref<64xf32>, memref<?x64xbf16>
    ```
  }];
  let arguments = (ins SymbolRefAttr:$kernel, RShard_FrameType:$frame,
                       Variadic<AnyTypeOf<[RShard_AnyRows, RShard_Indices, RShard_PackedWeight, Index, I1, I32, I64]>>:$arguments);
  let assemblyFormat = "$kernel `of` $frame `(` $arguments `)` attr-dict `:` type($arguments)";
}

#endif // RSHARD_KERNEL_OPS_TD
