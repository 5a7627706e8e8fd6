#!/usr/bin/env python3
"""Adds up JUnit files: one line per runner, and `N passed, N failed` as the last one.

usage: verdict.py FOLDER RUNNER ...     reads FOLDER/RUNNER.xml

A runner without a readable file, or with nothing in it, counts as one failure. The exit status is
1 if anything failed.
"""

import sys
import xml.etree.ElementTree as xml
from pathlib import Path


def count(path):
    """(passed, failed, skipped) test cases of a JUnit file."""
    cases = list(xml.parse(path).getroot().iter("testcase"))
    failed = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
    # ctest writes a test that it could not run as one that is disabled.
    idle = [case for case in cases if case.find("skipped") is not None or case.get("status") == "disabled"]
    return len(cases) - failed - len(idle), failed, len(idle)


def main(folder, runners):
    passed = failed = 0
    for runner in runners:
        try:
            good, bad, skipped = count(Path(folder) / f"{runner}.xml")
            text = f"{good} passed, {bad} failed" + (f", {skipped} skipped" if skipped else "")
            if good + bad == 0:
                bad, text = 1, "no test ran: counted as a failure"
        except (OSError, xml.ParseError):
            good, bad, text = 0, 1, "did not finish: counted as a failure"
        print(f"{runner:18}{text}")
        passed, failed = passed + good, failed + bad
    print("PASSED" if failed == 0 else "FAILED")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
