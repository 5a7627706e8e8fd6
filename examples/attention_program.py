"""Writes an attention-only program (docs/attention-entry.md), which the rshard tools take as a model.

python3 attention_program.py --heads 32 --key-heads 8 --head-size 128 > attention.mlir
"""

import argparse


def module(mask, heads, key_heads, size, positions):
    """The program in the model phase: `heads` query heads share `key_heads` of `size` elements."""
    every, query, key = (f"tensor<?x{count}x{size}xf32>" for count in (heads + 2 * key_heads, heads, key_heads))
    return f"""
module attributes {{rshard.model = #rshard.model<architecture = "attention", positions = {positions}, end = [], hash = "">}} {{
  func.func private @attend(%layer: index, %rows: {every}, %positions: tensor<?xi32>) -> {query} {{
    %q = rshard.heads %rows [0, {heads}) : {every} -> {query}
    %k = rshard.heads %rows [{heads}, {heads + key_heads}) : {every} -> {key}
    %v = rshard.heads %rows [{heads + key_heads}, {heads + 2 * key_heads}) : {every} -> {key}
    %o = rshard.attention %q, %k, %v mask <{mask}> scale {size ** -0.5} : {query}, {key}
    return %o : {query}
  }}
  func.func @main(%rows: {every}, %positions: tensor<?xi32>) -> {query} {{
    %o = rshard.layers [@attend] [0] (%rows, %positions) : {every}, tensor<?xi32> -> {query}
    return %o : {query}
  }}
}}
"""


def positive(text):
    most = 2**31 - 1
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"'{text}' vs an integer from 1 to {most}")
    return int(text)


def main():
    parser = argparse.ArgumentParser(description="Write an attention-only program.")
    parser.add_argument("--heads", type=positive, required=True, help="query heads")
    parser.add_argument("--key-heads", type=positive, help="key and value heads, which the query heads share [as many]")
    parser.add_argument("--head-size", type=positive, required=True, help="elements of a head")
    parser.add_argument("--mask", default="causal", help="causal, full or 'window N' [%(default)s]")
    parser.add_argument("--positions", type=positive, default=4096, help="the longest sequence [%(default)s]")
    options = parser.parse_args()
    print(module(options.mask, options.heads, options.key_heads or options.heads, options.head_size, options.positions))


if __name__ == "__main__":
    main()
