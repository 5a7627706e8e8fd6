"""Attention-only programs (docs/attention-entry.md), for the tests on the CPU and on a GPU."""


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
