"""The reference interpreter against outputs of Hugging Face transformers: the model phase, and the
partitioned phase as communicating nodes.
"""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from checkpoint import read_file

ROOT = Path(__file__).resolve().parent.parent.parent
GOLDEN = ROOT / "test" / "golden"
BIN = Path(os.environ.get("RSHARD_BUILD", ROOT / "build")) / "bin"
MODELS = sorted(p.name for p in GOLDEN.iterdir() if p.is_dir())
F64, F32 = 1e-5, 5e-5  # max abs over max abs; the references are float32

# Name -> options of rshard-plan.
PLANS = {
    "figure": "comp=4 cluster=2 period=7",
    "2x2": "comp=4 attn=2x2 cluster=2 period=7",
    "3x2": "comp=3 attn=3x2 cluster=1 period=3",
    "1x5": "comp=8 attn=1x5 cluster=3 period=24",
    "one rank": "comp=4 cluster=2 period=7 ranks=1",
    "three ranks": "comp=4 attn=4x3 cluster=2 period=7 ranks=3",
    "client layer first": "comp=4 cluster=2 period=7 client-first=1",
    "client layer last": "comp=3 attn=3x2 cluster=1 period=3 client-last=1",
    "client layers": "comp=4 cluster=2 period=7 client-first=1 client-last=1",
}


def error(actual, expected):
    assert actual.shape == expected.shape
    return np.abs(actual - expected).max() / np.abs(expected).max()


def run(*command):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True)


class Model:
    """One golden model; lowers it once per plan."""

    def __init__(self, name, folder):
        self.name, self.directory, self.folder = name, GOLDEN / name, folder
        self.reference = read_file(self.directory / "reference.safetensors")
        self.ir = folder / f"{name}.mlir"
        done = run(BIN / "rshard", "compile", self.directory, "--to", "model", "-o", self.ir)
        assert done.returncode == 0, done.stderr
        self.layers = sum(key.startswith("hidden_64_") for key in self.reference) - 1
        self.causal = "greedy_13_48" in self.reference

    def partitioned(self, plan):
        path = self.folder / f"{self.name} {plan}.mlir"
        if not path.exists():
            done = run(BIN / "rshard-opt", self.ir, f"--rshard-plan={PLANS[plan]}", "--rshard-partition", "-o", path)
            assert done.returncode == 0, done.stderr
        return path

    def evaluate(self, ir, tokens, *options):
        output = self.folder / "output.npy"
        done = run(BIN / "rshard-interpret", ir, "--weights", self.directory,
                   "--tokens", ",".join(map(str, tokens)), "-o", output, *options)
        assert done.returncode == 0, done.stderr
        return np.load(output)


@pytest.fixture(scope="module", params=MODELS)
def model(request, tmp_path_factory):
    return Model(request.param, tmp_path_factory.mktemp("interpreter"))


@pytest.mark.parametrize("length", [1, 2, 13, 64, 173])
@pytest.mark.parametrize("options, bound", [((), F64), (("--f32",), F32)], ids=["f64", "f32"])
def test_model(model, length, options, bound):
    tokens, expected = model.reference[f"tokens_{length}"], model.reference[f"output_{length}"]
    assert error(model.evaluate(model.ir, tokens, *options), expected) < bound


@pytest.mark.parametrize("length", [1, 2, 13, 64, 173])
@pytest.mark.parametrize("plan", PLANS)
def test_nodes(model, plan, length):
    if plan == "client layers" and model.layers < 3:  # none would be left to the nodes
        done = run(BIN / "rshard-opt", model.ir, f"--rshard-plan={PLANS[plan]}", "-o", os.devnull)
        assert done.returncode == 1 and "client layers: 1 + 1 vs less than the 2 layers" in done.stderr
        return
    tokens, expected = model.reference[f"tokens_{length}"], model.reference[f"output_{length}"]
    assert error(model.evaluate(model.partitioned(plan), tokens), expected) < F64


@pytest.mark.parametrize("plan", ["figure", "client layer first", "client layer last", "three ranks"])
@pytest.mark.parametrize("steps", ["32,32", "1,31,5,27", ",".join(["1"] * 64)], ids=["halves", "chunks", "decode"])
def test_steps(model, plan, steps):
    ir, tokens, expected = model.partitioned(plan), model.reference["tokens_64"], model.reference["output_64"]
    if not model.causal:
        done = run(BIN / "rshard-interpret", ir, "--weights", model.directory, "--steps", steps,
                   "--tokens", ",".join(map(str, tokens)), "-o", os.devnull)
        assert done.returncode == 1 and "C5: step at position" in done.stderr
        return
    assert error(model.evaluate(ir, tokens, "--steps", steps), expected) < F64
    assert error(model.evaluate(ir, tokens, "--steps", steps, "--f32", "--capacity", "100"), expected) < F32
