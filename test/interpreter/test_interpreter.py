"""The reference interpreter, the model phase and the partitioned phase as communicating nodes, against
outputs of Hugging Face transformers (golden models) and of the NumPy oracle (generated models).
"""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import generate
from checkpoint import read_file

ROOT = Path(__file__).resolve().parent.parent.parent
GOLDEN = ROOT / "test" / "golden"
BIN = Path(os.environ.get("RSHARD_BUILD", ROOT / "build")) / "bin"
# Beyond the golden models: what they do not reach. Name -> architecture and options of write_model.
GENERATED = {
    "mistral": ("MistralForCausalLM", {}),
    "qwen3": ("Qwen3ForCausalLM", {"attention_bias": True}),
    "qwen2 of two masks": ("Qwen2ForCausalLM", {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1}),
    "llama of six layers": ("LlamaForCausalLM", {"num_hidden_layers": 6, "shards": 3}),
    "llama with biases, linear rope, f16": (
        "LlamaForCausalLM",
        {"attention_bias": True, "mlp_bias": True, "dtype": "float16",
         "rope_parameters": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}},
    ),
    "llama with llama3 rope, bf16": (
        "LlamaForCausalLM",
        {"dtype": "bfloat16",
         "rope_parameters": {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
                             "high_freq_factor": 4.0, "original_max_position_embeddings": 64}},
    ),
}
MODELS = sorted(p.name for p in GOLDEN.iterdir() if p.is_dir()) + list(GENERATED)
CASES = [(name, length) for name in MODELS for length in ((2, 64) if name in GENERATED else (1, 2, 13, 64, 173))]
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
    """A model with its reference; lowers it once per plan."""

    def __init__(self, name, folder):
        self.name, self.directory, self.folder = name, GOLDEN / name, folder
        if name in GENERATED:
            self.directory = folder / name
            architecture, options = GENERATED[name]
            generate.write_model(self.directory, architecture, **options)
            generate.write_reference(self.directory)
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


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder, made = tmp_path_factory.mktemp("interpreter"), {}

    def get(name):
        if name not in made:
            made[name] = Model(name, folder)
        return made[name]

    return get


@pytest.mark.parametrize("name, length", CASES)
@pytest.mark.parametrize("options, bound", [((), F64), (("--f32",), F32)], ids=["f64", "f32"])
def test_model(models, name, length, options, bound):
    model = models(name)
    tokens, expected = model.reference[f"tokens_{length}"], model.reference[f"output_{length}"]
    assert error(model.evaluate(model.ir, tokens, *options), expected) < bound


@pytest.mark.parametrize("name, length", CASES)
@pytest.mark.parametrize("plan", PLANS)
def test_nodes(models, name, length, plan):
    model = models(name)
    if plan == "client layers" and model.layers < 3:  # none would be left to the nodes
        done = run(BIN / "rshard-opt", model.ir, f"--rshard-plan={PLANS[plan]}", "-o", os.devnull)
        assert done.returncode == 1 and "client layers: 1 + 1 vs less than the 2 layers" in done.stderr
        return
    tokens, expected = model.reference[f"tokens_{length}"], model.reference[f"output_{length}"]
    assert error(model.evaluate(model.partitioned(plan), tokens), expected) < F64


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("plan", ["figure", "client layer first", "client layer last", "three ranks"])
@pytest.mark.parametrize("steps", ["32,32", "1,31,5,27", ",".join(["1"] * 64)], ids=["halves", "chunks", "decode"])
def test_steps(models, name, plan, steps):
    model = models(name)
    ir, tokens, expected = model.partitioned(plan), model.reference["tokens_64"], model.reference["output_64"]
    if not model.causal:
        done = run(BIN / "rshard-interpret", ir, "--weights", model.directory, "--steps", steps,
                   "--tokens", ",".join(map(str, tokens)), "-o", os.devnull)
        assert done.returncode == 1 and "C5: step at position" in done.stderr
        return
    assert error(model.evaluate(ir, tokens, "--steps", steps, "--capacity", "100"), expected) < F64
