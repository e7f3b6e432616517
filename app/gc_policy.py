"""Run garbage collection between answers only.

A full collection scans every object of the app: 0.1 s, and up to 0.5 s with the rendered lines of a long
answer. Objects that survived a collection are therefore frozen, that is, excluded from later collections.
"""

from __future__ import annotations

import gc

GROWTH = 1.25
"""Frozen objects can become garbage too: each answer replaces about 4,000, the lines that were on screen.
When their number has grown by this factor since the last full collection, the next one is full again."""
NEW_OBJECTS = 10_000
"""How many new objects Python waits for before it looks for garbage among them; its own number is 700.
Opening a screen creates tens of thousands: a sixth of the processor time went into garbage collection."""
OLDEST = 2
"""The generation that holds what survived a full collection and is not frozen."""


def collect_seldom() -> None:
    """Let Python collect garbage on its own after NEW_OBJECTS only."""
    gc.set_threshold(NEW_OBJECTS, *gc.get_threshold()[1:])


class GcPolicy:
    """Collects garbage between answers, at a cost that does not grow with the conversation."""

    def __init__(self) -> None:
        self._frozen = 0
        """Objects frozen so far, counted at each freeze: `gc.get_freeze_count` walks over all of them."""
        self._alive = 0
        """Objects that survived the last full collection."""

    def collect_and_freeze(self) -> None:
        """Collect new objects and freeze the survivors; scan the frozen ones too when they grew by GROWTH."""
        full = self._frozen > GROWTH * self._alive
        if full:
            gc.unfreeze()
            self._frozen = 0
        gc.collect()
        self._frozen += len(gc.get_objects(OLDEST))
        gc.freeze()
        if full or not self._alive:
            self._alive = self._frozen
