"""The policy collects between answers, and does not scan frozen objects each time."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from app.gc_policy import GROWTH, GcPolicy


class Node:
    """Holds itself: only a collection can free it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()


def test_new_garbage_goes_after_an_answer() -> None:
    """What an answer left behind in circles."""
    garbage = GcPolicy()
    garbage.collect_and_freeze()
    seen = weakref.ref(Node())
    assert seen() is not None
    garbage.collect_and_freeze()
    assert seen() is None


def test_old_garbage_goes_when_there_is_much_of_it() -> None:
    """What was looked through is left out, until so much was added that all is looked through again."""
    garbage = GcPolicy()
    garbage.collect_and_freeze()
    nodes = [Node()]
    seen = weakref.ref(nodes[0])
    garbage.collect_and_freeze()
    nodes.clear()
    garbage.collect_and_freeze()
    assert seen() is not None
    nodes += [Node() for _ in range(int(GROWTH * gc.get_freeze_count()))]
    garbage.collect_and_freeze()
    garbage.collect_and_freeze()
    assert seen() is None
