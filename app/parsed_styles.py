"""A stylesheet that parses each source once.

Textual's keeps the last 64 parsed sources, fewer than the app has widgets, and none when the styles of a
screen are added or the theme changes: opening a screen for the first time parsed everything again.
"""

from __future__ import annotations

from functools import lru_cache

from textual.cache import LRUCache
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet

SOURCES = 1024
"""How many parsed sources are kept for a theme: one for each file of styles and each class of widgets."""
THEMES = 8
# Textual looks every rule up in a set for every widget that it styles. Its hash is the identity too, but
# written in Python: with it, styling takes twice as long.
RuleSet.__hash__ = object.__hash__  # type: ignore[method-assign]


class ParsedStyles(Stylesheet):
    """Keeps what it has parsed while the app runs, for the last THEMES sets of variables.

    A private attribute of Textual is replaced, because the size of its cache cannot be set.
    `tests/app/test_parsed_styles.py` checks that nothing is parsed twice.
    """

    def __init__(self, *, variables: dict[str, str] | None = None) -> None:
        super().__init__(variables=variables)
        self._parse_cache = _parsed_with(frozenset(self._variables.items()))

    def set_variables(self, variables: dict[str, str]) -> None:
        """Set the variables of a theme; `reparse` applies them."""
        self._parse_cache = LRUCache(1)  # Textual clears it
        super().set_variables(variables)
        self._parse_cache = _parsed_with(frozenset(variables.items()))

    def reparse(self) -> None:
        """Parse what is not parsed yet.

        Raises:
            StylesheetError: If a source cannot be parsed; the rules stay as they were.
        """
        self.parse()


@lru_cache(THEMES)
def _parsed_with(_variables: frozenset[tuple[str, str]]) -> LRUCache[tuple[object, ...], list[RuleSet]]:
    return LRUCache(SOURCES)
