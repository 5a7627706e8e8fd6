"""`rshard run` on the golden models; test/integration has them under every plan."""

import numpy as np
import pytest

from checkpoint import read_file
from commandline import GOLDEN, LLAMA, UNSHARDED, ids, refuse, relative_error, run_json, succeed

CAUSAL = ["gpt2-tiny", "llama-tiny", "qwen2-tiny", "smol-tiny"]


@pytest.mark.parametrize("name", CAUSAL)
def test_golden(name, tmp_path):
    reference = read_file(GOLDEN / name / "reference.safetensors")
    np.save(tmp_path / "tokens.npy", reference["tokens_64"])
    out = run_json(
        GOLDEN / name, "--tokens", tmp_path / "tokens.npy", "--max-new-tokens", 0, "--logits", tmp_path / "out.npy"
    )
    assert out["tokens"] == reference["tokens_64"].tolist()
    assert relative_error(np.load(tmp_path / "out.npy"), reference["output_64"]) < 5e-5
    greedy = reference["greedy_13_48"].tolist()
    out = run_json(GOLDEN / name, "--tokens", ids(greedy[:13]), "--max-new-tokens", 48, "--ignore-eos", "--chunk", 5)
    assert out["tokens"] == greedy and out["prompt_tokens"] == 13


@pytest.mark.parametrize("kind", ["int32", "int64"])
def test_hidden(tmp_path, kind):
    reference = read_file(GOLDEN / "bert-tiny" / "reference.safetensors")
    np.save(tmp_path / "tokens.npy", reference["tokens_64"].astype(kind))
    succeed("run", GOLDEN / "bert-tiny", "--tokens", tmp_path / "tokens.npy", "--hidden", tmp_path / "out.npy")
    assert relative_error(np.load(tmp_path / "out.npy"), reference["output_64"]) < 5e-5


def test_threads_and_processes_give_the_same_bits(tmp_path):
    tokens = ids(read_file(LLAMA / "reference.safetensors")["tokens_173"])
    files = []
    for threads in (1, 2, 2):
        files.append(tmp_path / f"{len(files)}.npy")
        options = ["--tokens", tokens, "--max-new-tokens", 0, "--threads", threads, "--logits", files[-1]]
        succeed("run", LLAMA, *options)
    assert len({file.read_bytes() for file in files}) == 1


def test_nothing_new(artifact):
    result = succeed("run", artifact, "--model", LLAMA, "--tokens", "1,2,3", "--max-new-tokens", 0)
    assert result.out.strip() == b""


def test_end_token_ends(tmp_path):
    """With the third token of a continuation as the end token the run stops there, unless told not to."""
    tokens = read_file(LLAMA / "reference.safetensors")["greedy_13_48"].tolist()
    end = tokens[13 + 2]
    first = tokens.index(end, 13)
    options = [LLAMA, *UNSHARDED, "--config", f"eos_token_id={end}", "--tokens", ids(tokens[:13]), "--max-new-tokens", 9]
    assert run_json(*options, "--ignore-eos")["tokens"] == tokens[:22]
    stopped = run_json(*options)["tokens"]
    assert stopped in (tokens[:first], tokens[: first + 1])


def test_tokens_without_tokenizer_are_printed_as_ids(artifact):
    tokens = read_file(LLAMA / "reference.safetensors")["greedy_13_48"].tolist()
    result = succeed("run", artifact, "--model", LLAMA, "--tokens", ids(tokens[:13]), "--max-new-tokens", 4, "--ignore-eos")
    assert result.out.decode().strip() == ids(tokens[13:17])


def test_random_weights_need_only_the_configuration(tmp_path):
    (tmp_path / "config.json").write_bytes((LLAMA / "config.json").read_bytes())
    run = ["run", tmp_path, *UNSHARDED, "--tokens", "1,2,3", "--max-new-tokens", 8, "--ignore-eos"]
    first = succeed(*run, "--weights", "random:1").out
    assert succeed(*run, "--weights", "random:1").out == first
    assert succeed(*run, "--weights", "random:2").out != first
    artifact = tmp_path / "a.rshard"
    succeed("compile", tmp_path, *UNSHARDED, "--weights", "random:9", "-o", artifact)
    assert succeed("run", artifact, *run[8:], "--weights", "random:1").out == first
    refuse(*run, match="safetensors")
    refuse(*run, "--weights", "noise", status=2, match="'noise' vs random: and a number")
