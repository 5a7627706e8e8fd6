"""examples/generate.cpp: a program that embeds the runtime."""

import subprocess

from checkpoint import read_file
from commandline import LLAMA, RSHARD, UNSHARDED, succeed

GENERATE = RSHARD.parent.parent / "examples" / "rshard-example-generate"
TOKENS = read_file(LLAMA / "reference.safetensors")["greedy_13_48"].tolist()


def generate(artifact, *tokens, stdout=subprocess.PIPE):
    command = [GENERATE, artifact, LLAMA, *map(str, tokens)]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True)


def test_continues(artifact):
    assert [int(word) for word in generate(artifact, *TOKENS[:13]).stdout.split()] == TOKENS[13:29]


def test_ends_at_the_end_token(tmp_path):
    end, out = TOKENS[13 + 2], tmp_path / "model.rshard"
    succeed("compile", LLAMA, *UNSHARDED, "--config", f"eos_token_id={end}", "-o", out)
    done = generate(out, *TOKENS[:13])
    assert done.returncode == 0, done.stderr
    assert [int(word) for word in done.stdout.split()] == TOKENS[13 : TOKENS.index(end, 13)]


def test_words_that_are_no_tokens(artifact):
    for word in ("abc", "1x", "", "99999999999"):
        done = generate(artifact, word)
        assert (done.returncode, done.stderr) == (1, f"error: '{word}' vs a token id\n")


def test_full_stdout(artifact):
    with open("/dev/full", "w") as full:
        done = generate(artifact, *TOKENS[:13], stdout=full)
    assert (done.returncode, done.stderr) == (1, "error: cannot write to stdout\n")
