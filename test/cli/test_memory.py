"""Little memory: one line that says what was asked for, status 1, nothing half-written, never a crash."""

import re
import resource
import shutil
import subprocess

import pytest

from commandline import LLAMA, RSHARD, UNSHARDED, refuse, refused, rshard, succeed

MB = 1 << 20


def limited(size):
    """Keys of subprocess.run: so many bytes of address space."""
    return {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size))}


@pytest.fixture(scope="module")
def least():
    """MB of address space in which the program starts."""
    fails, works = 0, 4096
    while works - fails > 2:
        middle = (fails + works) // 2
        if rshard("--version", **limited(middle * MB)).status == 0:
            works = middle
        else:
            fails = middle
    return works


def test_positions_beyond_memory():
    """Found out before the system ends the process."""
    refuse("verify", "--length", 2000000000, **limited(1 << 30),
           match=r"^error: --length 2000000000: \d+\.\d GB of memory are needed for the routes of 21 ranks, 0\.\d GB are available$")


def test_positions_take_tens_of_bytes(least):
    """400,000 positions of the figure's 21 ranks."""
    result = rshard("verify", "--length", 400000, **limited((least + 60) * MB))
    assert result.status == 0, result.errors


@pytest.mark.parametrize("target", [["--target", "cpu"], ["--target", "cuda", "--ptxas", "/bin/true"]])
def test_compiling(least, tmp_path, target):
    """Wherever it ends: in MLIR, which asks malloc, in LLVM, or in what reads files."""
    ended = 0
    for more in (1, 10, 25):
        result = rshard("compile", LLAMA, *target, "-o", tmp_path / "a.rshard", **limited((least + more) * MB))
        if result.status != 0:
            refused(result, 1)
            ended += "error: not enough memory for: rshard compile " in result.errors
        assert len(list(tmp_path.iterdir())) == (result.status == 0)
        (tmp_path / "a.rshard").unlink(missing_ok=True)
    assert ended


def test_passes(least, tmp_path):
    module = tmp_path / "large.mlir"
    module.write_text("".join(f"func.func private @f{i}() -> tensor<{i + 1}xf32>\n" for i in range(200000)))
    opt = RSHARD.with_name("rshard-opt")
    result = subprocess.run([opt, module, "-o", "/dev/null"], stderr=subprocess.PIPE, text=True, **limited((least + 60) * MB))
    assert result.returncode == 1 and re.fullmatch("error: not enough memory for: rshard-opt .*\n", result.stderr), result.stderr


LONG = ["run", LLAMA, "--config", "max_position_embeddings=1000000000", "--tokens", "1,2,3", "--max-new-tokens", 1]


@pytest.mark.parametrize("plan", [[], UNSHARDED])
def test_sessions(plan):
    """3 GB: found out before any of it is taken, and the number that is named fits."""
    text = refuse(*LONG, *plan, "--capacity", 1000000000, **limited(3 << 30)).errors
    said = re.search(r"a session of 1000000000 positions: [\d.]+ GB of memory are available, [\d.]+ GB are needed: [\d.]+ GB for "
                     r"tables, [\d.]+ GB for caches and buffers and \d+ bytes for weights; (\d+) of 1000000000 positions fit$", text, re.M)
    assert said, text
    assert f"{LLAMA}: error: " in text
    fit = int(said[1])
    succeed(*LONG, *plan, "--capacity", fit, **limited(3 << 30))
    refuse(*LONG, *plan, "--capacity", fit * 5 // 4, match="a session of", **limited(3 << 30))


ALLOCATOR = """
#include <errno.h>
#include <string.h>
static char pool[1 << 28] __attribute__((aligned(64))); static size_t used;
static void *take(size_t n) {
  size_t at = __atomic_fetch_add(&used, (n + 16 + 63) / 64 * 64 + 64, __ATOMIC_RELAXED) + 64;
  if (at + n > sizeof pool) return 0;
  ((size_t *)(pool + at))[-1] = n;
  return pool + at;
}
void *malloc(size_t n) { return take(n); }
void *calloc(size_t a, size_t b) { return take(a * b); }
void *aligned_alloc(size_t a, size_t n) { return a > 64 ? 0 : take(n); }
int posix_memalign(void **p, size_t a, size_t n) { return (*p = aligned_alloc(a, n)) ? 0 : ENOMEM; }
void free(void *p) { if (p && ((char *)p < pool || (char *)p >= pool + sizeof pool)) __builtin_trap(); }
void *realloc(void *p, size_t n) {
  void *q = take(n);
  free(p);
  if (p && q) memcpy(q, p, ((size_t *)p)[-1] < n ? ((size_t *)p)[-1] : n);
  return q;
}
"""


def test_another_allocator(tmp_path):
    """One that is loaded before libc, as jemalloc may be: it does not free what another one gave."""
    source, library = tmp_path / "allocator.c", tmp_path / "allocator.so"
    source.write_text(ALLOCATOR)
    subprocess.run([shutil.which("cc") or "clang-22", "-O1", "-fno-builtin", "-shared", "-fPIC", source, "-o", library], check=True)
    assert rshard("--version", env={"LD_PRELOAD": str(library)}).status == 0
    assert rshard("plan", env={"LD_PRELOAD": str(library)}).status == 0
