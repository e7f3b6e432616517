"""Garbage is collected between answers, and what was looked through once is not looked at again."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from app.garbage import settle, settle_all


class Node:
    """Holds itself: only a collection can free it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_new_garbage_goes_after_an_answer() -> None:
    """What an answer left behind in circles."""
    seen = weakref.ref(Node())
    assert seen() is not None
    settle()
    assert seen() is None


def test_what_was_looked_through_is_left_out() -> None:
    """Until everything is looked through: a screen that was left is freed then."""
    node = Node()
    seen = weakref.ref(node)
    settle()
    frozen = gc.get_freeze_count()
    assert frozen > 0
    del node
    settle()
    assert seen() is not None
    settle_all()
    assert seen() is None
