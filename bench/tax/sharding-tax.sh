#!/bin/sh
# Compiles a model for one node and for the figure's 4 + 16 nodes, in one process
# and with one rank a node, and measures what sharding costs (docs/benchmarks.md).
#   bench/tax/sharding-tax.sh MODEL [options of sharding-tax]
set -eu
[ $# -ge 1 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
model=$1
shift
build=${BUILD:-$(dirname "$0")/../../build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
compile() {
  name=$1
  shift
  "$build/bin/rshard" compile "$model" "$@" -o "$work/$name.rshard" >&2
}
figure="--comp 4 --attn 4x4 --cluster 2 --period 7"
compile one --comp 1 --attn 1x1 --ranks 1
compile ranks-1 $figure --ranks 1
compile ranks-21 $figure
"$build/bench/tax/sharding-tax" --model "$model" "$@" "one=$work/one.rshard" \
  "ranks-1=$work/ranks-1.rshard" "ranks-21=$work/ranks-21.rshard"
