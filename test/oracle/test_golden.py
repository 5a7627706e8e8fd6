"""The oracle against outputs of Hugging Face transformers, and against itself in several steps."""

from pathlib import Path

import numpy as np
import pytest

from checkpoint import read_file
from model import load

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
MODELS = sorted(p.name for p in GOLDEN.iterdir() if p.is_dir())
BOUND = 1e-5  # of a float64 oracle against float32 references: max abs over max abs


def error(actual, expected):
    assert actual.shape == expected.shape
    return np.abs(actual - expected).max() / np.abs(expected).max()


@pytest.fixture(scope="module", params=MODELS)
def golden(request):
    return load(GOLDEN / request.param), read_file(GOLDEN / request.param / "reference.safetensors")


@pytest.mark.parametrize("length", [1, 2, 13, 64, 173])
def test_output(golden, length):
    model, reference = golden
    model.restart()
    output, _ = model.step(reference[f"tokens_{length}"])
    assert error(output, reference[f"output_{length}"]) < BOUND


def test_hidden(golden):
    model, reference = golden
    model.restart()
    _, hidden = model.step(reference["tokens_64"])
    assert f"hidden_64_{len(hidden) - 1}" in reference and f"hidden_64_{len(hidden)}" not in reference
    for i, rows in enumerate(hidden):
        assert error(rows, reference[f"hidden_64_{i}"]) < BOUND


def test_greedy(golden):
    model, reference = golden
    if not model.causal:
        assert "greedy_13_48" not in reference
        return
    expected = reference["greedy_13_48"].tolist()
    assert model.greedy(expected[:13], 48) == expected


def test_steps(golden):
    model, reference = golden
    if not model.causal:
        model.restart()
        model.step([1])
        with pytest.raises(ValueError, match="one step"):
            model.step([1])
        return
    model.restart()
    tokens = reference["tokens_64"]
    chunks = [model.step(tokens[a:b])[0] for a, b in ((0, 20), (20, 21), (21, 64))]
    assert error(np.concatenate(chunks), reference["output_64"]) < BOUND


def test_float32(golden):
    reference = golden[1]
    model = type(golden[0])(golden[0].config, golden[0].tensors, np.float32)
    output, _ = model.step(reference["tokens_173"])
    assert output.dtype == np.float32
    assert error(output, reference["output_173"]) < 5e-5
