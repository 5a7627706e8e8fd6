"""Results arrive whole, where they were wanted, or there is an error: stdout, files, links, devices."""

import os
import subprocess

import pytest

from commandline import LLAMA, RSHARD, UNSHARDED, refuse, rshard, succeed

TOKENS = ["--tokens", "1,2,3", "--max-new-tokens", "4"]
TO_STDOUT = {
    "run": ["run", LLAMA, *TOKENS],
    "run --json": ["run", LLAMA, *TOKENS, "--json"],
    "inspect": ["inspect", "ARTIFACT"],
    "inspect --ir": ["inspect", "ARTIFACT", "--ir"],
    "inspect --json": ["inspect", "ARTIFACT", "--json"],
    "plan": ["plan"],
    "explain": ["explain"],
    "explain --json": ["explain", "--json"],
    "verify": ["verify"],
    "verify --json": ["verify", "--json"],
    "compile --to": ["compile", LLAMA, "--to", "planned"],
    "compile --to -o -": ["compile", LLAMA, "--to", "planned", "-o", "-"],
    "help": ["--help"],
    "plan --help": ["plan", "--help"],
}


@pytest.mark.parametrize("command", TO_STDOUT)
def test_full_stdout(artifact, command):
    arguments = [artifact if word == "ARTIFACT" else word for word in TO_STDOUT[command]]
    succeed(*arguments)
    with open("/dev/full", "wb") as full:
        result = refuse(*arguments, stdout=full)
    assert result.said == ["error: cannot write to stdout: No space left on device"]


def test_closed_stdout(artifact):
    """The next file that is opened must not become stdout."""
    for arguments in (["inspect", artifact, "--ir"], ["run", artifact, "--model", LLAMA, *TOKENS]):
        result = refuse(*arguments, stdout=None, preexec_fn=lambda: os.close(1))
        assert result.said == ["error: cannot write to stdout: Bad file descriptor"]


def test_run_stops_when_nobody_takes_the_tokens(tmp_path):
    logits = tmp_path / "out.npy"
    with open("/dev/full", "wb") as full:
        refuse("run", LLAMA, *TOKENS, "--logits", logits, stdout=full)
    assert not logits.exists()


TO_FILE = {
    "plan": ["plan", "-o"],
    "phase": ["compile", LLAMA, "--to", "planned", "-o"],
    "artifact": ["compile", LLAMA, "-o"],
    "logits": ["run", LLAMA, "--tokens", "1,2,3", "--max-new-tokens", "0", "--logits"],
}


@pytest.mark.parametrize("command", TO_FILE)
def test_output_goes_through_links(tmp_path, command):
    arguments = TO_FILE[command]
    direct, target, link, full = (tmp_path / name for name in ("direct", "target", "link", "full"))
    succeed(*arguments, direct)
    target.write_text("old")
    target.chmod(0o600)
    other = tmp_path / "other"
    other.symlink_to("target")
    link.symlink_to(other)
    succeed(*arguments, link)
    assert link.is_symlink() and other.is_symlink() and not target.is_symlink()
    assert target.read_bytes() == direct.read_bytes() and target.stat().st_mode & 0o777 == 0o600
    # A link to what is not there yet.
    target.unlink()
    succeed(*arguments, link)
    assert link.is_symlink() and target.read_bytes() == direct.read_bytes()
    full.symlink_to("/dev/full")
    refuse(*arguments, full, match="full: error: cannot write: No space left")
    assert full.is_symlink()
    link.unlink()
    link.symlink_to("link")
    refuse(*arguments, link, match="symbolic links")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["direct", "full", "link", "other", "target"]


@pytest.mark.parametrize("command", TO_FILE)
def test_nothing_half_written(tmp_path, command):
    """A disk that is full, by a limit on the size of files."""
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_text("old")
    link.symlink_to(file)
    limited = ["bash", "-c", 'ulimit -f 0; trap "" XFSZ; exec "$0" "$@"', RSHARD, *map(str, TO_FILE[command]), str(link)]
    done = subprocess.run(limited, capture_output=True, timeout=120)
    assert done.returncode == 1 and b"File too large" in done.stderr, done.stderr
    assert link.is_symlink() and file.read_text() == "old"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "link"]


def test_output_to_an_open_file(tmp_path):
    """/dev/stdout is the file that the shell opened, not another one of its name."""
    with open(tmp_path / "out", "w+b") as out:
        subprocess.run([RSHARD, "plan", "-o", "/dev/stdout"], stdout=out, stderr=subprocess.DEVNULL, check=True)
        out.seek(0)
        assert b"period 7" in out.read()
    assert rshard("plan", "-o", "/dev/stdout").out == succeed("plan").out


@pytest.mark.parametrize("command", [["plan"], ["run", LLAMA, *TOKENS], ["verify"]])
def test_nobody_listens_to_stderr(command, tmp_path):
    """What is said there may be lost; results are not."""
    expected = succeed(*command).out
    with open("/dev/full", "wb") as full:
        done = subprocess.run([RSHARD, *command], stdout=subprocess.PIPE, stderr=full)
    assert done.returncode == 0 and done.stdout == expected
    closed = ["bash", "-c", 'exec "$0" "$@" 2>&-', RSHARD, *command]
    done = subprocess.run(closed, stdout=subprocess.PIPE)
    assert done.returncode == 0 and done.stdout == expected


def test_views_come_behind_the_text(tmp_path):
    """On a terminal both are one stream."""
    with (tmp_path / "terminal").open("wb") as terminal:
        subprocess.run([RSHARD, "run", LLAMA, *UNSHARDED, *TOKENS], stdout=terminal, stderr=terminal, check=True)
    lines = (tmp_path / "terminal").read_text().splitlines()
    assert lines[-1] == "all 2 nodes are on the client's rank, which sees everything"
    assert len(lines[-2].split(",")) == 4
