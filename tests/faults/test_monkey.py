"""A short run of the monkey; `python -m tests.faults.monkey` runs longer ones."""

from __future__ import annotations

import pytest

from tests.faults.monkey import run
from tests.faults.random_keys import bound_keys


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("seed", "size", "chosen"), [(1, (80, 24), True), (2, (40, 10), True), (3, (80, 24), False)], ids=str
)
async def test_some_hundred_keys(
    seed: int, size: tuple[int, int], chosen: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    """The app, its widgets and its event loop take every one."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(str(tmp_path))
    outcome = await run(seed, 250, size, chosen=chosen)
    assert outcome.survived, outcome.failure
    assert outcome.tried >= 250


def test_the_monkey_knows_the_keys() -> None:
    """Of screens and widgets; none ends the app."""
    keys = set(bound_keys())
    assert {"f1", "f9", "f12", "escape", "ctrl+l", "slash", "d", "delete"} <= keys
    assert not keys & {"ctrl+q", "ctrl+z"}
