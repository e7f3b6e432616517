"""Parse the log of an engine build for progress: `Loading Model: [2/3]<TAB>Building TRT-LLM engine`."""

from __future__ import annotations

import re

from engines.backends.base import Report

_STAGE = re.compile(r"Loading Model:\s*\[(\d+)/(\d+)\]\s*(\S.*)")
_TOTAL = re.compile(r"Total (?:latency|time of building).*")


class BuildLogParser:
    """Reports the progress of a build from its log lines."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def __call__(self, line: str) -> None:
        """Parse one line of the log."""
        if found := _STAGE.search(line):
            self._report.log(found[3].strip())
            self._report.progress(int(found[1]) - 1, int(found[2]), "steps")
        elif found := _TOTAL.search(line):
            self._report.log(found[0].strip())
