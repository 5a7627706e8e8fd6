"""Running `rshard` as its users do: arguments in; status, stdout and stderr out."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
RSHARD = Path(os.environ.get("RSHARD_BUILD", ROOT / "build")).resolve() / "bin" / "rshard"
GOLDEN = ROOT / "test" / "golden"
LLAMA = GOLDEN / "llama-tiny"
UNSHARDED = ["--comp", "1", "--attn", "1x1", "--ranks", "1"]
# What a command may say on stderr besides errors and their notes.
PROGRESS = re.compile(r"hashing weights|compiling |packing weights|running the prompt|checking routes|(client|comp|attn)\(.*sees")


class Result:
    def __init__(self, done):
        self.status, self.out, self.errors = done.returncode, done.stdout or b"", done.stderr.decode(errors="replace")

    @property
    def said(self):
        """Lines of stderr without those that only report progress."""
        lines = [line.strip() for line in re.split(r"[\r\n]+", self.errors) if line.strip()]
        return [line for line in lines if not PROGRESS.match(line)]


def rshard(*arguments, timeout=120, **keys):
    """Runs one command; keys are those of subprocess.run, `stdout` instead of a pipe among them."""
    command = [str(RSHARD), *map(str, arguments)]
    keys = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **keys}
    return Result(subprocess.run(command, timeout=timeout, **keys))


def succeed(*arguments, **keys):
    result = rshard(*arguments, **keys)
    assert result.status == 0, result.errors
    return result


def run_json(*arguments):
    """The one JSON object that `rshard run --json` prints."""
    out = succeed("run", *arguments, "--json").out.decode()
    assert out.endswith("\n") and out.count("\n") == 1
    return json.loads(out)


def ids(tokens):
    return ",".join(str(int(token)) for token in tokens)


def refuse(*arguments, match=None, status=1, **keys):
    """The command refuses; what it says matches."""
    result = refused(rshard(*arguments, **keys), status)
    if match:
        assert re.search(match, result.errors), result.errors
    return result


def refused(result, *statuses):
    """One line with `error:`, then only notes; nothing on stdout; one of the statuses (1 input, 2 usage)."""
    assert result.status in statuses, (result.status, result.errors)
    assert result.out == b"", result.out[:200]
    check_said(result)
    return result


def check_said(result):
    said = result.said
    assert said and "error: " in said[0], result.errors
    assert all("note: " in line for line in said[1:]), result.errors
    assert "terminate called" not in result.errors and "Stack dump" not in result.errors


def relative_error(actual, expected):
    """Largest difference over largest magnitude; NaN anywhere counts as infinite."""
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    assert actual.dtype == np.float32 and np.isfinite(actual).all()
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


def copy_model(source, directory):
    """A model that a test may damage: config.json and model.safetensors."""
    directory.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(source / name, directory / name)
        (directory / name).chmod(0o644)
    return directory
