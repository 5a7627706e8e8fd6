"""Options that cannot go together, or would change nothing, are refused: one line that says why, status 2."""

import re
import subprocess

import pytest

from commandline import GOLDEN, LLAMA, RSHARD, UNSHARDED, refuse, succeed

TOKENS = ["--tokens", "1,2,3", "--max-new-tokens", 1]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """An artifact, IR of two phases and a plan of the llama model."""
    directory = tmp_path_factory.mktemp("files")
    names = {"artifact": "a.rshard", "model": "model.mlir", "planned": "planned.mlir", "plan": "plan.json"}
    paths = {key: directory / name for key, name in names.items()}
    succeed("compile", LLAMA, *UNSHARDED, "-o", paths["artifact"])
    for phase in ("model", "planned"):
        succeed("compile", LLAMA, "--to", phase, "-o", paths[phase])
    succeed("plan", "-o", paths["plan"])
    return paths


@pytest.mark.parametrize("command, match", [
    # of a GPU
    (["run", "ARTIFACT", "--model", LLAMA, *TOKENS, "--device", 0], "--device: .* the code is for the CPU$"),
    (["run", LLAMA, *TOKENS, "--device", 3], "--device: .* the code is for the CPU$"),
    (["run", LLAMA, *TOKENS, "--ptxas", "/bin/true"], "--ptxas: .* --target cuda alone$"),
    (["compile", LLAMA, "--ptxas", "/bin/true", "-o", "OUT"], "--ptxas: .* --target cuda alone$"),
    # of weights
    (["compile", "MODEL", "--model", LLAMA, "--weights", "random:1", "-o", "OUT"], "--model and --weights: both were given$"),
    (["compile", LLAMA, "--model", GOLDEN / "smol-tiny", "-o", "OUT"], "--model: .*llama-tiny is a directory and holds its weights$"),
    (["run", LLAMA, "--model", GOLDEN / "smol-tiny", *TOKENS], "--model: .*llama-tiny is a directory and holds its weights$"),
    # of artifacts
    (["compile", LLAMA, "--to", "planned", "--cpu", "x86-64-v3"], "--cpu: .* not about IR of the phase planned$"),
    (["compile", LLAMA, "--to", "scheduled", "--target", "cuda", "--ptxas", "/bin/true"], "--ptxas: .* phase scheduled$"),
    (["compile", "MODEL", "--to", "planned", "--model", LLAMA], "--model: .* phase planned$"),
    # of models, where there is none
    (["explain", "--capacity", 20], "--capacity and --max-new-tokens: .* known with a model$"),
    (["explain", "PLAN", "--max-new-tokens", 2], "--capacity and --max-new-tokens: .* known with a model$"),
    (["plan", "--config", "a=1"], "--config: .* there is no model$"),
    (["verify", "PLAN", "--config", "a=1"], "--config: .* there is no model$"),
    # of plans
    (["plan", "--comp", 4, "--cluster", 2, "--period", 9], "plan: C1: .*9"),
    (["compile", LLAMA, "--comp", 100000, "-o", "OUT"], "plan: --attn 100000x100000: the grid is too large$"),
    (["explain", "--plan", "PLAN", "--comp", 3], "--plan: options of another plan were given too"),
    # values
    (["run", LLAMA, "--tokens", ""], "--tokens: '' vs token ids"),
    (["run", LLAMA, "--tokens", "1,,2"], "--tokens: ',2' vs token ids"),
    (["run", LLAMA, "--tokens"], "--tokens: its value is missing$"),
    (["run", LLAMA, *TOKENS, "--max-new-tokens", 3], "--max-new-tokens: it is given more than once$"),
    (["run", LLAMA, *TOKENS, "--temperature", "inf"], "--temperature: 'inf' vs a finite number from 0 on$"),
    (["run", LLAMA, *TOKENS, "--temperature", "nan"], "--temperature: 'nan' vs a finite number from 0 on$"),
    (["run", LLAMA, *TOKENS, "--temperature", ""], "--temperature: '' vs a finite number from 0 on$"),
    (["run", LLAMA, *TOKENS, "--top-p", 0], "--top-p: '0' vs a number above 0, at most 1$"),
    (["run", LLAMA, *TOKENS, "--top-p", "1e400"], "--top-p: '1e400' vs a number above 0, at most 1$"),
])
def test_refused(files, tmp_path, command, match):
    given = {key.upper(): path for key, path in files.items()} | {"OUT": tmp_path / "out"}
    refuse(*[given.get(word, word) for word in command], status=2, match=f"(?m){match}")
    assert not (tmp_path / "out").exists()


def test_tokenizer_of_random_weights(files):
    """--model beside --weights says where the tokenizer is."""
    refuse("run", files["artifact"], "--weights", "random:1", "--model", LLAMA, "--prompt", "a", match="llama-tiny/tokenizer.json: error:")
    succeed("run", files["artifact"], "--weights", "random:1", "--model", LLAMA, *TOKENS)


@pytest.mark.parametrize("subject", ["directory", "artifact", "planned"])
def test_positions_that_there_are_not(files, subject):
    """What was given is named, and what would do."""
    run = ["run", LLAMA] if subject == "directory" else ["run", files[subject], "--model", LLAMA]
    has = "model and plan have 512 positions"
    refuse(*run, "--tokens", "1,2,3", "--max-new-tokens", 600,
           match=f"^error: 3 tokens and 600 new ones: {has}: at most --max-new-tokens 510$")
    refuse(*run, "--tokens", ",".join(["1"] * 500), match=f"^error: 500 tokens and 32 new ones: {has}: at most --max-new-tokens 13$")
    refuse(*run, "--tokens", ",".join(["1"] * 513), match=f"^error: the prompt has 513 tokens, {has}$")
    refuse(*run, *TOKENS, "--capacity", 600, match=f"^error: --capacity 600: {has}$")
    refuse("explain", LLAMA, "--capacity", 600, match=f"^error: --capacity 600: {has}$")


def interpret(*arguments):
    done = subprocess.run([RSHARD.with_name("rshard-interpret"), *map(str, arguments)], capture_output=True, text=True)
    return done.returncode, done.stderr


def test_interpreter(tmp_path):
    out = ["-o", tmp_path / "out.npy"]
    for arguments in ([LLAMA, "--nope"], [LLAMA, "--tokens", "1"], [LLAMA, *out, "--tokens", "1", "--capacity", "x"]):
        assert interpret(*arguments)[0] == 2
    status, said = interpret(LLAMA, *out, "--tokens", "1", "--random-weights", 1, "--weights", LLAMA)
    assert status == 2 and re.fullmatch("error: --random-weights and --weights: both were given\n", said)
    assert interpret(LLAMA, *out, "--tokens", "999")[0] == 1
    assert interpret(LLAMA, *out, "--tokens", "1") == (0, "")
