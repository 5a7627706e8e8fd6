"""What the command does where the system gives it no threads: the same, on one."""

import os
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from commandline import LLAMA, RSHARD, UNSHARDED, Result, succeed

NOBODY = 65534
TOKENS = ["--tokens", "1,2,3", "--max-new-tokens", "4"]


@pytest.fixture
def place():
    """A directory for another user: limits of processes do not hold for root."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        shutil.copy(RSHARD, directory)
        shutil.copytree(LLAMA, directory / "model")
        (directory / "cache").mkdir()
        for path in [directory, *directory.rglob("*")]:
            path.chmod(0o755)
            if os.geteuid() == 0:
                os.chown(path, NOBODY, NOBODY)
        yield directory


def alone(place, *arguments):
    """Runs a command that may not start a thread."""
    def limit():
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))

    keys = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    environment = {**os.environ, "XDG_CACHE_HOME": str(place / "cache"), "TMPDIR": str(place)}
    command = [str(place / "rshard"), *map(str, arguments)]
    return Result(subprocess.run(command, capture_output=True, timeout=120, preexec_fn=limit, env=environment, cwd=place, **keys))


def test_compiles_and_runs_without_threads(place, tmp_path):
    artifact, other = place / "alone.rshard", tmp_path / "threads.rshard"
    done = alone(place, "compile", place / "model", *UNSHARDED, "-o", artifact)
    assert done.status == 0, done.errors
    succeed("compile", LLAMA, *UNSHARDED, "-o", other)
    assert artifact.read_bytes() == other.read_bytes()
    done = alone(place, "run", artifact, "--model", place / "model", *TOKENS)
    assert done.status == 0, done.errors
    assert done.out == succeed("run", other, "--model", LLAMA, *TOKENS).out


def test_looks_at_a_plan_without_threads(place):
    done = alone(place, "explain", place / "model")
    assert done.status == 0, done.errors
    assert done.out == succeed("explain", LLAMA).out
