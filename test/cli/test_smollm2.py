"""SmolLM2-135M-Instruct with its real weights, through the command line."""

import subprocess

import numpy as np
import pytest

import model
from commandline import RSHARD, UNSHARDED, ids, relative_error, run_json, succeed

TEXT = (
    "The river rose in the night, and by the morning the lower fields were a lake. Anna counted the sheep on "
    "the hill: 41, one fewer than the day before. She called, whistled and waited for an answer."
)
DEMO = "Computer viruses are parasitic programs which are"
PLANS = {
    "unsharded": UNSHARDED,
    "figure": [],
    "one-rank": ["--ranks", "1"],
    "client-layers": ["--client-layers", "1,1"],
}
NEW = 64


@pytest.fixture(scope="module")
def expected(smollm2):
    """(tokens, logits) of the text by the NumPy oracle. f64 would double 0.5 GB of weights for a
    reference that f32 gives an order of magnitude below the bound."""
    tokens = run_json(smollm2, *UNSHARDED, "--prompt", TEXT, "--max-new-tokens", 0)["tokens"]
    assert 35 <= len(tokens) <= 50
    return tokens, model.load(smollm2, np.float32).step(tokens)[0]


@pytest.mark.parametrize("plan", PLANS)
def test_logits(smollm2, expected, tmp_path, plan):
    tokens, logits = expected
    options = [smollm2, *PLANS[plan], "--tokens", ids(tokens), "--max-new-tokens", 0, "--logits"]
    run_json(*options, tmp_path / "whole.npy")
    assert relative_error(np.load(tmp_path / "whole.npy"), logits) < 5e-5
    if plan != "figure":
        return
    run_json(*options, tmp_path / "chunks.npy", "--chunk", 9)
    assert relative_error(np.load(tmp_path / "chunks.npy"), logits) < 5e-5


@pytest.fixture(scope="module")
def greedy(smollm2):
    return run_json(smollm2, *UNSHARDED, "--prompt", DEMO, "--max-new-tokens", NEW, "--ignore-eos")


@pytest.mark.parametrize("plan", [name for name in PLANS if name != "unsharded"])
def test_greedy_tokens_are_the_unsharded_ones(smollm2, greedy, plan):
    assert len(greedy["tokens"]) == greedy["prompt_tokens"] + NEW
    sharded = run_json(smollm2, *PLANS[plan], "--prompt", DEMO, "--max-new-tokens", NEW, "--ignore-eos")
    assert sharded["ranks"] == (1 if plan == "one-rank" else 21)
    assert sharded["tokens"] == greedy["tokens"]
    crossed = sum(sharded["bytes"].values())
    assert crossed == 0 if plan == "one-rank" else crossed > 0
    chunked = run_json(smollm2, *PLANS[plan], "--prompt", DEMO, "--max-new-tokens", 8, "--chunk", 3)
    assert chunked["tokens"] == greedy["tokens"][: greedy["prompt_tokens"] + 8]


def test_text_streams(smollm2, greedy):
    """Text comes in pieces while tokens are computed, and is the JSON's text."""
    assert greedy["text"] == DEMO + greedy["continuation"]
    command = [RSHARD, "run", smollm2, *UNSHARDED, "--prompt", DEMO, "--max-new-tokens", str(NEW), "--ignore-eos"]
    pieces = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0) as process:
        while piece := process.stdout.read(65536):
            pieces.append(piece)
    assert process.returncode == 0
    assert len(pieces) > 8
    assert greedy["continuation"] in b"".join(pieces).decode()


def test_drawing_is_deterministic(smollm2, greedy):
    options = [smollm2, *UNSHARDED, "--prompt", DEMO, "--max-new-tokens", 16, "--ignore-eos"]
    draw = lambda *more: run_json(*options, *more)["tokens"]
    hot = draw("--temperature", 1.5, "--top-p", 0.95, "--seed", 7)
    assert hot == draw("--temperature", 1.5, "--top-p", 0.95, "--seed", 7)
    assert hot != draw("--temperature", 1.5, "--top-p", 0.95, "--seed", 8)
    # Only the most likely token is left.
    assert draw("--temperature", 1.5, "--top-p", 1e-6, "--seed", 7) == greedy["tokens"][: len(hot)]
