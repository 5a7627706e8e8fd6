#!/usr/bin/env bash
# The demonstration: SmolLM2-135M-Instruct, its tokens sharded over 4 CompNodes and a 4x4 grid of
# AttnNodes, continues a prompt. Everything is set up and built first if need be.
#
# usage: scripts/demo.sh [ARGUMENT ...]     further arguments of `rshard run`, e.g. --max-new-tokens 64
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh rshard
.venv/bin/python scripts/convert-smollm2.py
exec build/bin/rshard run models/SmolLM2-135M-Instruct --comp 4 --attn 4x4 --cluster 2 --period 7 \
  --prompt "Computer viruses are parasitic programs which are" "$@"
