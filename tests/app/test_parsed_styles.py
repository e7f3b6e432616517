"""The styles are parsed once for each theme, whatever is opened; the colours are those of the theme."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from textual.css.errors import UnresolvedVariableError
from textual.css.parse import parse

from app.parsed_styles import ParsedStyles, _parsed_with
from app.screens.models import ModelsScreen
from app.screens.settings import SettingsScreen
from tests.app.driving import until_screen
from tests.app.still import StillPlayground, settle


async def test_nothing_is_parsed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither when screens are opened, nor when a theme comes back."""
    parsed: Counter[tuple[Any, ...]] = Counter()

    def counted(scope: str, css: str, read_from: Any, *, tie_breaker: int, **options: Any) -> Any:
        parsed[app.theme, scope, css, read_from, tie_breaker] += 1
        return parse(scope, css, read_from, tie_breaker=tie_breaker, **options)

    _parsed_with.cache_clear()
    monkeypatch.setattr("textual.css.stylesheet.parse", counted)
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        for key, screen in (("f2", ModelsScreen), ("f6", SettingsScreen)):
            await pilot.press(key)
            await until_screen(pilot, screen)
        assert any("models.tcss" in str(where) for _, _, _, where, _ in parsed)
        backgrounds = []
        for theme in ("playground-light", "playground-dark"):
            app.theme = theme
            await pilot.pause()
            backgrounds.append(app.screen.styles.background)
        assert backgrounds[0] != backgrounds[1]
    assert {theme for theme, *_ in parsed} == {"playground-dark", "playground-light"}
    assert [source for source, times in parsed.items() if times > 1] == []


def test_a_source_that_cannot_be_parsed_leaves_the_rules_as_they_were() -> None:
    styles = ParsedStyles(variables={"good": "red"})
    styles.add_source("Label { color: $good; }", read_from=("good", ""))
    styles.reparse()
    before = list(styles.rules)
    styles.add_source("Label { color: $bad; }", read_from=("bad", ""))
    with pytest.raises(UnresolvedVariableError):
        styles.reparse()
    assert styles._rules == before
