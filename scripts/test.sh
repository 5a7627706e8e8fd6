#!/usr/bin/env bash
# Runs all tests: unit tests (once more under the address and undefined-behaviour sanitizers), lit
# (once more as a round trip of everything printed), pytest. The last line is the verdict.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

results=build/test-results
verdict() { # of runners that ended: their JUnit files; of those that did not: one failure each
  /usr/bin/python3 scripts/verdict.py $results "$@"
}

if ! scripts/setup.sh; then
  echo "set-up or build failed"
  echo "0 passed, 1 failed"
  exit 1
fi
rm -rf $results
mkdir -p $results
jobs=$(nproc)
# ptxas of a known version, whatever else is installed.
export CUDA_HOME="$PWD/.venv/lib/python3.11/site-packages/nvidia/cu13"

title() { printf '\n== %s\n' "$1"; }

units() { # $1: name of the result; then further options of ctest
  # ctest knows the lit suites as well: they are counted test by test below
  ctest --test-dir build -j "$jobs" -E "^lit" --output-on-failure --no-tests=error "${@:2}" --output-junit "$PWD/$results/$1.xml"
}

lit() { # $1: name of the result
  /usr/lib/llvm-22/bin/lit -sv -j "$jobs" --xunit-xml-output "$results/$1.xml" build/test
}

title "unit tests"
units units

title "unit tests, sanitized: runtime, token sets, readers, and generated code with its instrumentation"
export CCACHE_DIR="${CCACHE_DIR:-$PWD/.cache/ccache}" CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1
export CCACHE_SLOPPINESS=pch_defines,time_macros # precompiled headers are cached too
ninja -C build --quiet -j "$jobs" sanitized && units units-sanitized -C Sanitized -R "^sanitized"

title "lit"
lit lit

title "lit, as a round trip"
RSHARD_ROUNDTRIP=1 lit lit-roundtrip

title "pytest"
# test/cli runs the real model.
.venv/bin/python scripts/convert-smollm2.py
# A worker per core, each with its half of the files: tests of one file share what they compile.
OMP_NUM_THREADS=1 .venv/bin/pytest -q -n "$jobs" --dist worksteal --junitxml "$results/pytest.xml"

title "pytest, sanitized: the tokenizer's reader"
RSHARD_BUILD=build/sanitized .venv/bin/pytest -q test/tokenizer -k "lines or refusals or damaged or stream" --junitxml "$results/pytest-sanitized.xml"

title "verdict"
verdict units units-sanitized lit lit-roundtrip pytest pytest-sanitized
