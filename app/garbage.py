"""When Python looks for garbage: never in the middle of an answer.

A full collection looks at every object of the app: 0.1 s, and more with every turn of the conversation. So
what has been looked through once is frozen, that is, left out of later collections.
"""

from __future__ import annotations

import gc


def settle() -> None:
    """After an answer: look through what is new. It costs the same however long the conversation is."""
    gc.collect()
    gc.freeze()


def settle_all() -> None:
    """When a screen was shown or left: look through everything, as whole trees of widgets may be garbage."""
    gc.unfreeze()
    settle()
