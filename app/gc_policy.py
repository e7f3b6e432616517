"""When Python looks for garbage: never in the middle of an answer.

A full collection looks at every object of the app: 0.1 s, and up to half a second for a long answer's worth
of lines. So what has been looked through is frozen, that is, left out of the collections that follow.
"""

from __future__ import annotations

import gc

GROWTH = 1.25
"""Frozen objects may become garbage too: lines that were on the screen do, 4,000 objects with each answer.
When there are so many times as many as after the last full collection, there is another one."""


class GcPolicy:
    """Collects it between answers, at a cost that does not grow with the conversation."""

    def __init__(self) -> None:
        self._alive = 0
        """Objects that were left by the last full collection."""

    def settle(self) -> None:
        """Look through what is new; now and then, through everything."""
        full = gc.get_freeze_count() > GROWTH * self._alive
        if full:
            gc.unfreeze()
        gc.collect()
        gc.freeze()
        if full:
            self._alive = gc.get_freeze_count()
