"""What the monkey presses, pastes and resizes to."""

from __future__ import annotations

import importlib
import pkgutil

from textual import events
from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import _character_to_key

import app

SIZES = ((80, 24), (40, 10), (160, 48), (20, 5), (100, 30))
TEXTS = (
    "café \ufffd", "\t" * 200, "e" + "\u0301" * 500, "one\ntwo\n" * 300, "\x1b[31mred", "[b]markup[/",
    "مرحبا", "\U0001f469\u200d\U0001f4bb", "/", "~/", "w" * 900,
)  # fmt: skip
COMMON_KEYS = (
    "escape", "enter", "up", "down", "left", "right", "tab", "shift+tab", "space", "backspace", "delete",
    "home", "end", "pageup", "pagedown", "ctrl+p", "ctrl+home", "ctrl+end", "shift+left", "shift+down",
)  # fmt: skip
LETTERS = (*"abcdefghijklmnopqrstuvwxyz0123456789/?-+*[]{}\\", "é", "界", "\ufffd")
QUITS = frozenset({"ctrl+q", "ctrl+z"})
"""Keys that end or suspend the app, as they should."""


def key_event(key: str) -> events.Key:
    """Return the event of a key, given by its name or its character."""
    return events.Key(_character_to_key(key), key) if len(key) == 1 else events.Key(key, None)


def bound_keys() -> tuple[str, ...]:
    """Return every key that a class of the app binds, and the usual ones, but not those that quit."""
    keys = {f"f{number}" for number in range(1, 13)}
    keys |= {f"ctrl+{letter}" for letter in LETTERS if letter.isascii() and letter.isalpha()}
    for module in pkgutil.walk_packages(app.__path__, "app."):
        if module.name != "app.__main__":
            for one in vars(importlib.import_module(module.name)).values():
                if isinstance(one, type) and issubclass(one, DOMNode):
                    for binding in vars(one).get("BINDINGS", ()):
                        keys |= set(binding.key.split(",")) if isinstance(binding, Binding) else set()
    return tuple(sorted(keys - QUITS))
