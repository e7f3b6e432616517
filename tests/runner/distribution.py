"""How pytest-xdist shares the files out: the long ones first, and a file continues where its runner died."""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]
from xdist.workermanage import WorkerController  # type: ignore[import-untyped]

LONG = (
    "tests/e2e/",
    "tests/app/cli/test_serve.py",
    "tests/app/cli/web/",
    "tests/app/screens/",
    "tests/app/test_",
    "tests/engines/backends/",
    "tests/engines/worker/",
    "tests/app/",
    "tests/engines/",
)
"""Beginnings of the names of files, those that take longest first."""


class WholeFiles(LoadFileScheduling):  # type: ignore[misc]
    """Gives each runner one file after the other."""

    def remove_node(self, node: WorkerController) -> str | None:
        """Hand out again what a runner that died has not run; returns the test that it died in.

        pytest-xdist 3.8 hands out the finished files too, which hold no test: the next runner reports none
        of them, is given no other file, and the run never ends. And the test that ended one runner would
        end the next.
        """
        died_in: str | None = None
        for file, tests in self.assigned_work.pop(node).items():
            left = [test for test, finished in tests.items() if not finished]
            if left and died_in is None:
                died_in = left.pop(0)
            if left:
                self.workqueue[file] = dict.fromkeys(left, False)
                self.workqueue.move_to_end(file, last=False)
        for other in self.nodes:
            self._reschedule(other)
        return died_in


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> WholeFiles | None:
    """Used with `--dist loadfile`."""
    return WholeFiles(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With several runners, begin with the files that take longest: the last one is waited for alone."""
    if hasattr(config, "workerinput"):
        items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    return next((place for place, name in enumerate(LONG) if item.nodeid.startswith(name)), len(LONG))
