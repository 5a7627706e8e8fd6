"""What the tools do where the system gives them no threads: the same, on one."""

import os
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from commandline import LLAMA, ROOT, RSHARD, UNSHARDED, Result, succeed

NOBODY = 65534
TOOLS = ("rshard", "rshard-opt", "rshard-reduce", "rshard-interpret")
TOKENS = ["--tokens", "1,2,3", "--max-new-tokens", "4"]


@pytest.fixture
def place():
    """A directory for another user: limits of processes do not hold for root."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for tool in TOOLS:
            shutil.copy(RSHARD.parent / tool, directory)
        # Several functions, which many threads would verify.
        shutil.copy(ROOT / "test" / "Dialect" / "RShard" / "model.mlir", directory)
        shutil.copytree(LLAMA, directory / "model")
        (directory / "cache").mkdir()
        for path in [directory, *directory.rglob("*")]:
            path.chmod(0o755)
            if os.geteuid() == 0:
                os.chown(path, NOBODY, NOBODY)
        yield directory


def alone(place, *arguments, tool="rshard"):
    """Runs a tool that may not start a thread."""
    def limit():
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))

    keys = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    environment = {**os.environ, "XDG_CACHE_HOME": str(place / "cache"), "TMPDIR": str(place)}
    command = [str(place / tool), *map(str, arguments)]
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


@pytest.mark.parametrize("tool", ["rshard-opt", "rshard-reduce"])
def test_passes_without_threads(place, tool):
    done = alone(place, "model.mlir", tool=tool)
    assert done.status == 0, done.errors
    assert done.out == subprocess.run([place / tool, "model.mlir"], stdout=subprocess.PIPE, check=True, cwd=place).stdout
    assert done.out


def test_interprets_without_threads(place):
    command = ["model", "--tokens", "1,2,3", "-o"]
    done = alone(place, *command, "alone.npy", tool="rshard-interpret")
    assert done.status == 0, done.errors
    subprocess.run([place / "rshard-interpret", *command, "threads.npy"], check=True, cwd=place)
    assert (place / "alone.npy").read_bytes() == (place / "threads.npy").read_bytes()
