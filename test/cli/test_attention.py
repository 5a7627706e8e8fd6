"""Attention-only programs: examples/attend.cpp, and what the tools say about them."""

import subprocess
import sys

import numpy as np
import pytest

from attention_program import module
from commandline import LLAMA, ROOT, RSHARD, refuse, relative_error, succeed

ATTEND = RSHARD.parent.parent / "examples" / "rshard-example-attend"
PTXAS = ROOT / "test" / "fakecuda" / "ptxas"
PLANS = {
    "single": ["--comp", 1, "--attn", "1x1", "--ranks", 1],
    "figure": ["--comp", 4, "--attn", "4x4", "--cluster", 2, "--period", 7],
    "thirds": ["--comp", 3, "--attn", "3x2", "--ranks", 4],
}
# Mask, query heads, key heads, head size.
PROGRAMS = {"causal": ("causal", 4, 2, 16), "window": ("window 7", 3, 3, 32), "full": ("full", 8, 1, 16)}
ROWS = 48


def attention(query, key, value, mask):
    """Its definition, in float64."""
    rows, heads, size = query.shape
    key, value = (np.repeat(x.astype(np.float64), heads // key.shape[1], axis=1) for x in (key, value))
    scores = np.einsum("qhd,khd->hqk", query.astype(np.float64), key) * size**-0.5
    behind = np.arange(rows)[:, None] - np.arange(rows)[None, :]
    if mask != "full":
        scores[:, behind < 0] = -np.inf
    if mask.startswith("window"):
        scores[:, behind >= int(mask.split()[1])] = -np.inf
    weights = np.exp(scores - scores.max(axis=2, keepdims=True))
    return np.einsum("hqk,khd->qhd", weights / weights.sum(axis=2, keepdims=True), value).astype(np.float32)


def random_rows(heads, key_heads, size):
    random = np.random.default_rng(5)
    return [random.standard_normal((ROWS, count, size)).astype(np.float32) for count in (heads, key_heads, key_heads)]


def attend(folder, artifact, rows, steps):
    """The rows' bytes go to files and from there to the example; its output as rows."""
    for name, part in zip("qkv", rows):
        (folder / name).write_bytes(part.tobytes())
    command = [ATTEND, artifact, *(folder / name for name in "qkv"), *map(str, steps)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr
    return np.frombuffer(done.stdout, np.float32).reshape(sum(steps), *rows[0].shape[1:])


def compiled(folder, program, *options):
    (folder / "attention.mlir").write_text(module(*program, positions=64))
    succeed("compile", folder / "attention.mlir", *options, "-o", folder / "attention.rshard")
    return folder / "attention.rshard"


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_example(name, plan, tmp_path):
    program = PROGRAMS[name]
    artifact = compiled(tmp_path, program, *PLANS[plan])
    rows = random_rows(*program[1:])
    for steps in [[ROWS]] if name == "full" else ([ROWS], [20, 11, 1, 1, 1, 14]):
        assert relative_error(attend(tmp_path, artifact, rows, steps), attention(*rows, program[0])) < 5e-5


def to_bf16(rows):
    """Rounded to nearest even: the bits, and the values that they stand for."""
    bits = rows.view(np.uint32)
    high = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    return high, (high.astype(np.uint32) << 16).view(np.float32)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_example_on_cuda(name, plan, tmp_path, monkeypatch):
    """On test/fakecuda: kernels as plain loops, in the order and on the rows of the real ones."""
    monkeypatch.setenv("LD_LIBRARY_PATH", str(RSHARD.parent.parent / "test" / "fakecuda"))
    program = PROGRAMS[name]
    artifact = compiled(tmp_path, program, *PLANS[plan], "--target", "cuda", "--ptxas", PTXAS)
    bits, values = zip(*map(to_bf16, random_rows(*program[1:])))
    for steps in [[ROWS]] if name == "full" else ([ROWS], [20, 11, 1, 1, 1, 14]):
        assert relative_error(attend(tmp_path, artifact, bits, steps), attention(*values, program[0])) < 0.02


def test_script_writes_the_program_of_the_page():
    page = (ROOT / "docs" / "attention-entry.md").read_text(encoding="utf-8")
    program = page.split("```mlir\n// attention.mlir\n")[1].split("```")[0]
    script = [sys.executable, ROOT / "examples" / "attention_program.py"]
    written = subprocess.run([*script, "--heads", "4", "--key-heads", "2", "--head-size", "16"], capture_output=True, text=True, check=True)
    assert written.stdout.split() == program.split()


def test_tools(tmp_path):
    artifact = compiled(tmp_path, PROGRAMS["causal"], *PLANS["figure"])
    text = tmp_path / "attention.mlir"
    assert b"C6 holds" in succeed("verify", text, *PLANS["figure"]).out
    assert b"attn(" in succeed("explain", text, *PLANS["figure"]).out
    assert b"attention only" in succeed("inspect", artifact).out
    why = "takes rows of queries, keys and values, no tokens: .* \\(docs/attention-entry.md\\)$"
    refuse("run", artifact, "--tokens", "1,2", match=why)
    refuse("run", text, "--weights", "random:1", "--tokens", "1,2", match=why)
    # Before anything is asked for that it has not.
    refuse("run", text, "--tokens", "1,2", match=why)
    refuse("run", text, "--prompt", "x", "--target", "cuda", match=why)
    out = tmp_path / "x.rshard"
    refuse("compile", text, "--weights", "random:1", "-o", out, match="the model has no weights: --weights")
    refuse("compile", text, "--weights", "random:1", "--to", "planned", match="the model has no weights: --weights")
    refuse("compile", text, "--model", LLAMA, "-o", out, match="the model has no weights: --model")
    refuse("compile", text, "--client-layers", "1,0", "-o", tmp_path / "x", match="client layers: 1 \\+ 0 vs less than the 1")


@pytest.mark.parametrize("value", ["0", "-1", "nan", "1.5", "", "2147483648", "99999999999999999999"])
def test_sizes_of_programs(value):
    script = [sys.executable, ROOT / "examples" / "attention_program.py", "--heads", "4", "--head-size", "64", f"--positions={value}"]
    done = subprocess.run(script, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.endswith(f"--positions: '{value}' vs an integer from 1 to 2147483647\n")


def test_example_refuses(artifact, tmp_path):
    def refused(*arguments):
        done = subprocess.run([ATTEND, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert (done.returncode, done.stdout) == (1, "")
        return done.stderr

    assert "weights, none were given" in refused(artifact, "q", "k", "v", 1)
    own = compiled(tmp_path, PROGRAMS["causal"], *PLANS["single"])
    files = [tmp_path / name for name in "qkv"]
    for file in files:
        file.write_bytes(b"")
    assert refused(own, *files, 1) == "error: the files end before row 1\n"
    for rows in ("x", "0", "-1"):
        assert refused(own, *files, rows) == f"error: '{rows}' vs a number of rows\n"
    for path in (tmp_path / "none", tmp_path):
        assert refused(own, path, *files[1:], 1) == f"error: {path}: cannot be read\n"
