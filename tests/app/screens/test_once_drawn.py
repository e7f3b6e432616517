"""A screen that opens is styled and laid out once, and looks as if Textual had styled it again."""

from __future__ import annotations

from typing import Any

import pytest
from textual.screen import Screen

from app.navigation import SCREENS
from app.screens.once_drawn_screen import OnceDrawnScreen
from tests.app.driving import case, is_composed, wait_until
from tests.app.still import StillPlayground, back_to_chat, chat_answered, settle


def styles(screen: Screen[Any]) -> dict[object, object]:
    """Return the rules of every widget, and of its parts."""
    return {
        node: [
            dict(one.base.get_rules()) for one in (node.styles, *map(node.get_component_styles, _parts(node)))
        ]
        for node in screen.walk_children(with_self=True)
    }


def _parts(node: Any) -> list[str]:
    return sorted(node._component_styles)


async def test_its_styles_are_those_of_a_second_styling() -> None:
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await chat_answered(pilot)
        for name in SCREENS:
            with case(name):
                app.navigation.open(name)
                await wait_until(pilot, lambda: is_composed(app.screen))
                before = styles(app.screen)
                app.screen.update_node_styles(animate=False)
                assert styles(app.screen) == before
                await back_to_chat(pilot)


async def test_it_is_laid_out_for_another_size_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the classes of its breakpoints, also where it is opened and where it lies below another one."""
    sizes: list[tuple[str, int]] = []
    original = Screen._refresh_layout

    def counted(screen: Screen[Any], size: Any = None, scroll: bool = False) -> None:
        if size is not None:
            sizes.append((type(screen).__name__, size.width))
        original(screen, size, scroll)

    monkeypatch.setattr(Screen, "_refresh_layout", counted)
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await chat_answered(pilot)
        app.navigation.open("models")
        await settle(pilot)
        assert isinstance(app.screen, OnceDrawnScreen)
        assert app.screen.has_class("-narrow", "-short")
        await pilot.resize_terminal(120, 40)
        await settle(pilot)
        assert app.screen.has_class("-wide", "-high")
        assert not app.screen.has_class("-narrow")
        await back_to_chat(pilot)
        assert app.screen.has_class("-wide", "-high")
    assert [one for one in sizes if one[0] == "ModelsScreen"] == [("ModelsScreen", 80), ("ModelsScreen", 120)]
