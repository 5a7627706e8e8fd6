"""An installed runtime: applications find it with CMake or pkg-config, and run an artifact."""

import os
import shutil
import subprocess

import pytest

from checkpoint import read_file
from commandline import LLAMA, ROOT, RSHARD, UNSHARDED, succeed

BUILD = RSHARD.parent.parent
CXX = shutil.which("c++") or "clang++-22"
NM = shutil.which("nm") or "llvm-nm-22"
SOURCE = ROOT / "examples" / "generate.cpp"


def run(*command, **keys):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **keys)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    prefix = tmp_path_factory.mktemp("prefix")
    run("cmake", "--install", BUILD, "--prefix", prefix, "--component", "runtime")
    return prefix


def with_cmake(prefix, tmp_path):
    run("cmake", "-S", ROOT / "test" / "install", "-B", tmp_path, f"-DCMAKE_PREFIX_PATH={prefix}", f"-DSOURCE={SOURCE}", f"-DCMAKE_CXX_COMPILER={CXX}")
    run("cmake", "--build", tmp_path)


def with_pkg_config(prefix, tmp_path):
    files = next(prefix.glob("lib*/**/rshard-runtime.pc")).parent
    flags = run("pkg-config", "--cflags", "--libs", "rshard-runtime", env={**os.environ, "PKG_CONFIG_PATH": str(files)})
    assert "-Wl," not in flags
    run(CXX, "-std=c++20", SOURCE, "-o", tmp_path / "generate", *flags.split())


@pytest.mark.parametrize("build", [with_cmake, with_pkg_config])
def test_application(prefix, tmp_path, build):
    build(prefix, tmp_path)
    succeed("compile", LLAMA, *UNSHARDED, "-o", tmp_path / "model.rshard")
    tokens = read_file(LLAMA / "reference.safetensors")["greedy_13_48"].tolist()
    # Generated code finds what it calls in a table that the runtime fills, and nothing among the program's symbols.
    exported = run(NM, "--dynamic", "--defined-only", tmp_path / "generate")
    assert not any(name in exported for name in ("rshard_", "ncclSend")), exported
    out = run(tmp_path / "generate", tmp_path / "model.rshard", LLAMA, *tokens[:13])
    assert [int(token) for token in out.split()] == tokens[13:29]
