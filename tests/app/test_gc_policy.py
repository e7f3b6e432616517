"""The policy collects garbage between answers, and does not scan frozen objects each time."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from app.gc_policy import GROWTH, GcPolicy


class Node:
    """An object that refers to itself, so that only garbage collection frees it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.freeze()


def test_reference_cycles_of_an_answer_are_collected() -> None:
    policy = GcPolicy()
    policy.collect_and_freeze()
    seen = weakref.ref(Node())
    assert seen() is not None
    policy.collect_and_freeze()
    assert seen() is None


def test_frozen_objects_are_scanned_after_enough_growth() -> None:
    """Frozen objects are skipped until GROWTH times as many objects were added."""
    policy = GcPolicy()
    policy.collect_and_freeze()
    nodes = [Node()]
    seen = weakref.ref(nodes[0])
    policy.collect_and_freeze()
    nodes.clear()
    policy.collect_and_freeze()
    assert seen() is not None
    nodes += [Node() for _ in range(int(GROWTH * gc.get_freeze_count()))]
    policy.collect_and_freeze()
    policy.collect_and_freeze()
    assert seen() is None
