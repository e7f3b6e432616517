"""Campaigns that are tests already: run them and count."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from tests.faults.result import Result

PROJECT = Path(__file__).resolve().parents[2]


def run_tests(name: str, folder: Path, *paths: str) -> Result:
    """Run the tests below `paths`; each is one attempt.

    Args:
        name: what is tried.
        folder: where pytest's report is written.
        paths: test files, or nodes of them.
    """
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", f"--junitxml={report}", *paths]
    subprocess.run(command, cwd=PROJECT, check=False, stdout=subprocess.DEVNULL)
    result = Result(name)
    for case in ElementTree.parse(report).iter("testcase"):
        failed = case.find("failure") is not None or case.find("error") is not None
        if case.find("skipped") is None:
            result.count(f"{case.get('name')} failed" if failed else "")
    return result
