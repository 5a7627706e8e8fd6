"""Checks that what the documentation points at exists.

usage: pages.py CHECKOUT

- relative links lead to files, and their anchors to headings
- `Suite.test` in backticks is a GoogleTest test, `test_file.test_name` one of pytest; a path in backticks is in the checkout
- pages that show an example show lines of it, in their order
- pages are ASCII with lines that end without blanks
"""

import re
import sys
from pathlib import Path

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
TEST = re.compile(r"(?:TEST|TEST_F|TEST_P|RC_GTEST_PROP)\((\w+),\s*(\w+)")
NAME = re.compile(r"(?:[A-Z]\w+|test_\w+)\.[A-Za-z]\w*")
SOURCES = {"cpp", "h", "hpp", "md", "mlir", "py", "td", "inc", "txt", "json", "rshard"}
EXAMPLES = {"README.md": "examples/generate.cpp", "docs/attention-entry.md": "examples/attend.cpp"}
FOLDERS = ("cmake", "dialects", "docs", "include", "lib", "runtime", "scripts", "test", "tokenset", "tools")


def without_blocks(text):
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(page):
    headings = re.findall(r"^#+ (.*)$", without_blocks(page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def check(root, page, tests):
    text = page.read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        if not line.isascii() or line != line.rstrip():
            yield f"line {number}: not ASCII, or a blank at its end"
    text = without_blocks(text)
    for link in LINK.findall(text):
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        path = (page.parent / target) if target else page
        if not path.exists():
            yield f"no file {link}"
        elif anchor and anchor not in anchors(path):
            yield f"no heading {link}"
    for code in CODE.findall(text):
        if NAME.fullmatch(code) and code.rpartition(".")[2] not in SOURCES and code not in tests:
            yield f"no test {code}"
        if re.fullmatch(r"[\w./-]+", code) and code.split("/")[0] in FOLDERS and "/" in code and not (root / code).exists():
            yield f"no path {code}"


def main():
    root = Path(sys.argv[1])
    sources = sorted([*root.glob("test/unit/**/*.cpp"), *root.glob("test/integration/*.cpp")])
    tests = {".".join(match) for source in sources for match in TEST.findall(source.read_text(encoding="utf-8"))}
    for source in sorted(root.glob("test/**/test_*.py")):
        tests |= {f"{source.stem}.{name}" for name in re.findall(r"^def (test_\w+)", source.read_text(encoding="utf-8"), re.MULTILINE)}
    pages = [root / "README.md", *sorted(root.glob("docs/*.md"))]
    problems = [f"{page.relative_to(root)}: {problem}" for page in pages for problem in check(root, page, tests)]
    for page, source in EXAMPLES.items():
        example = iter((root / source).read_text(encoding="utf-8").splitlines())
        shown = re.search(r"^```cpp\n(.*?)^```$", (root / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        for line in shown.group(1).splitlines():
            if line not in example:  # consumes the file up to the line: in this order
                problems.append(f"{page}: not in {source}, or not there: {line}")
                break
    for picture in root.glob("docs/images/*"):
        if not any(picture.name in page.read_text(encoding="utf-8") for page in pages):
            problems.append(f"{picture.relative_to(root)}: on no page")
    print("\n".join(problems), file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
