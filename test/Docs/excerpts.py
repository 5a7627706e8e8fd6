"""Holds the IR in pages of documentation to what the tool prints.

usage: excerpts.py "RSHARD-OPT" PAGE...

The first line of every ```mlir block says what the block is:

  // NAME.mlir                     a whole module, under that name
  // rshard-opt NAME.mlir FLAGS    an excerpt of what this command prints

In an excerpt a line `...` leaves out any number of lines, `...` inside a line leaves out text, and
comments are ignored. Values may have other names than in the output, but one name stands for one
value. Everything else is compared word by word, and lines without `...` between them are neighbours.
"""

import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

BLOCK = re.compile(r"^```mlir\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VALUE = re.compile(r"%[\w$-]+(?:\.[\w$-]+)*")


def normalize(line):
    return " ".join(re.sub(r"//.*", "", line).split())


def pattern(line, values):
    """The line as a regular expression; a value's name is a group where it occurs first."""

    def name(match):
        text = match.group()
        if text in bound:
            return re.escape(bound[text])
        if text in fresh:
            return f"(?P={fresh[text]})"
        fresh[text] = f"v{len(fresh)}"
        return f"(?P<{fresh[text]}>{VALUE.pattern})"

    bound, fresh = values
    parts, end = [], 0
    for match in re.finditer(rf"{VALUE.pattern}|\.\.\.", line):
        parts.append(re.escape(line[end:match.start()]))
        parts.append("[^\n]*" if match.group() == "..." else name(match))
        end = match.end()
    return "".join(parts) + re.escape(line[end:])


def mismatch(excerpt, output):
    """The first line of the excerpt that the output lacks, or None."""
    text = "\n".join(filter(None, map(normalize, output.splitlines()))) + "\n"
    runs, position, bound = [[]], 0, {}
    for line in filter(None, map(normalize, excerpt.splitlines())):
        if line == "...":
            runs.append([])
        else:
            runs[-1].append(line)
    for run in filter(None, runs):
        fresh = {}
        lines = [pattern(line, (bound, fresh)) for line in run]
        for length in range(1, len(lines) + 1):  # for the message: how far does it fit?
            whole = "^" + "\n".join(lines[:length]) + "$"
            found = re.compile(whole, re.MULTILINE).search(text, position)
            if not found:
                return run[length - 1]
        groups = found.groupdict()
        bound |= {name: groups[group] for name, group in fresh.items()}
        position = found.end()
    return None


def check(tool, page):
    modules, excerpts, problems = {}, [], []
    for match in BLOCK.finditer(page.read_text(encoding="utf-8")):
        first, _, body = match.group(1).partition("\n")
        words = shlex.split(first.removeprefix("//"))
        if first.startswith("//") and len(words) == 1 and words[0].endswith(".mlir"):
            modules[words[0]] = body
        elif first.startswith("//") and len(words) > 2 and words[0] == "rshard-opt":
            excerpts.append((words[1], words[2:], body))
        else:
            problems.append(f"a block begins with neither a file's name nor a command: {first}")
    if not modules or not excerpts:
        problems.append("no module and excerpt to check")
    with tempfile.TemporaryDirectory() as folder:
        for name, body in modules.items():
            Path(folder, name).write_text(body, encoding="utf-8")
        for name, flags, body in excerpts:
            command = f"rshard-opt {name} {shlex.join(flags)}"
            run = subprocess.run([*shlex.split(tool), name, *flags], cwd=folder, capture_output=True, text=True)
            if run.returncode:
                problems.append(f"{command}: {run.stderr.strip()}")
            elif (line := mismatch(body, run.stdout)) is not None:
                problems.append(f"{command}: prints no such line there: {line}")
    return [f"{page}: {problem}" for problem in problems]


def main():
    problems = [problem for page in sys.argv[2:] for problem in check(sys.argv[1], Path(page))]
    print("\n".join(problems), file=sys.stderr)
    return 1 if problems or len(sys.argv) < 3 else 0


if __name__ == "__main__":
    sys.exit(main())
