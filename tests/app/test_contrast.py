"""Contrast by WCAG 2.2 in what is drawn: 4.5:1 for text, 3:1 for the lines and signs that one must see.

Wide characters are rare here, so a cell is counted for each character.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from textual.app import App
from textual.color import Color
from textual.geometry import Region
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets._progress_bar import Bar

from app.screens.chat import ChatScreen
from app.themes import THEMES
from tests.app.driving import case, is_composed, wait_until
from tests.app.rendered import Cell, cells, contrast, widget_at
from tests.app.still import (
    StillPlayground,
    build_failed,
    building,
    chat_answered,
    chat_failed,
    chat_shaded,
    compared,
    settle,
    still,
)
from tests.app.test_keys import attach, build, differ, inspect, save_conversation
from tests.app.test_themes import SOLID
from tests.app.widgets.samples import FULL

TEXT, DRAWING = 4.5, 3.0
KEYS = ("f2", "f3", "f4", "f6", "f8", "f10", "f12", "alt+a", "f1", "ctrl+s", "ctrl+o")
"""Keys that open the screens and dialogs."""
BORDERS = frozenset("╭╮╰╯─│┏┓┗┛━┃")


def excused(app: App[Any], cell: Cell) -> bool:
    """Return whether the rule does not apply to a cell.

    WCAG excepts parts that cannot be used. What is below a dialog is darkened.
    The empty rest of a progress bar repeats the figure after it.
    """
    widget = widget_at(app, cell)
    if isinstance(widget, Bar):
        empty = widget.get_component_rich_style("bar--bar").bgcolor
        return empty is not None and cell.foreground == Color.from_rich_color(empty)
    return widget is None or widget.is_disabled or (app.screen.is_modal and widget is app.screen)


def faint(app: App[Any]) -> Iterator[str]:
    """Yield every run of cells with too little contrast, with its widget."""
    for cell in cells(app):
        if not cell.character.strip():
            continue
        least = TEXT if cell.is_text else DRAWING
        if cell.contrast < least and not excused(app, cell):
            kind = type(widget_at(app, cell)).__name__
            pair = f"{cell.foreground.hex} on {cell.background.hex}"
            yield f"{kind} {cell.character!r} {pair}: {cell.contrast:.2f}"


async def open_by(pilot: Pilot[None], key: str) -> None:
    """Close what is above the chat, and open another screen."""
    app = pilot.app
    while not isinstance(app.screen, ChatScreen):
        app.pop_screen()
        await pilot.pause()
    await pilot.press(key)
    await wait_until(pilot, lambda: not isinstance(app.screen, ChatScreen) and is_composed(app.screen))
    await settle(pilot)


async def faint_in_themes(pilot: Pilot[None]) -> dict[str, set[str]]:
    """Return what has too little contrast on the current screen, by theme; empty if nothing has."""
    found = {}
    for theme in THEMES:
        await use_theme(pilot, theme.name)
        found[theme.name] = set(faint(pilot.app))
    return {name: few for name, few in found.items() if few}


async def use_theme(pilot: Pilot[None], name: str) -> None:
    """Draw the current screen in another theme."""
    pilot.app.theme = name
    await pilot.pause()
    await still(pilot)


@pytest.mark.parametrize("keys", [("", *KEYS[:5]), KEYS[5:]], ids=" ".join)
async def test_every_screen_is_readable(keys: tuple[str, ...]) -> None:
    app = StillPlayground(THEMES[0].name, chosen=True, snapshot=FULL)
    async with app.run_test(size=(120, 48)) as pilot:
        await chat_answered(pilot)
        for prepare in (save_conversation, build, differ, attach):
            await prepare(pilot)
        await settle(pilot)
        found = {}
        for key in keys:
            if key:
                await open_by(pilot, key)
            found[key or "chat"] = await faint_in_themes(pilot)
        assert {name: few for name, few in found.items() if few} == {}


@pytest.mark.parametrize("before", [chat_failed, chat_shaded, compared], ids=lambda one: one.__name__)
async def test_states_of_the_chat_are_readable(before: Any) -> None:
    app = StillPlayground(THEMES[0].name, chosen=True, snapshot=FULL)
    async with app.run_test(size=(120, 40)) as pilot:
        await before(pilot)
        assert await faint_in_themes(pilot) == {}


async def test_builds_are_readable() -> None:
    app = StillPlayground(THEMES[0].name, chosen=False)
    async with app.run_test(size=(120, 40)) as pilot:
        for before in (building, build_failed):
            with case(before.__name__):
                await before(pilot)
                assert await faint_in_themes(pilot) == {}


async def test_the_inspector_is_readable() -> None:
    """A list, the row under its cursor, the search, and the summary."""
    app = StillPlayground(THEMES[0].name, chosen=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await inspect(pilot)
        for key in ("down", "slash", "right_square_bracket"):
            with case(key):
                await pilot.press(key)
                await settle(pilot)
                assert await faint_in_themes(pilot) == {}


async def test_scroll_bars_are_visible() -> None:
    """Their thumb against their track."""
    app = StillPlayground(THEMES[0].name, chosen=True, snapshot=FULL)
    async with app.run_test(size=(80, 24)) as pilot:
        await chat_answered(pilot)
        bar = app.screen.query_one("#turns-left").vertical_scrollbar
        assert bar.display
        for theme in THEMES:
            with case(theme.name):
                await use_theme(pilot, theme.name)
                drawn = {cell.background for cell in cells(app, bar.region)}
                drawn |= {cell.foreground for cell in cells(app, bar.region) if cell.character.strip()}
                assert max(contrast(one, other) for one in drawn for other in drawn) >= DRAWING


async def test_borders_are_visible_in_themes_of_textual() -> None:
    """The app's own part of them; what else a foreign theme looks like is its own affair."""
    app = StillPlayground("playground-dark", chosen=True, snapshot=FULL)
    async with app.run_test(size=(120, 40)) as pilot:
        await chat_answered(pilot)
        for theme in SOLID:
            app.theme = theme.name
            await pilot.pause()
            lines = [cell for cell in cells(app) if cell.character in BORDERS]
            assert lines
            assert min(cell.contrast for cell in lines) >= DRAWING, theme.name


Appearance = dict[tuple[int, int], Cell]
"""Cells by their place."""


def appearance(app: App[Any], within: Region | None = None) -> Appearance:
    """Return the cells of the current screen, or of a part of it."""
    return {(cell.x, cell.y): cell for cell in cells(app, within)}


def with_frame(widget: Widget) -> Region:
    """Return the region of a part and of the frame around it."""
    return widget.region.grow((1, 1, 1, 1))


def differs_without_hue(before: Cell, after: Cell) -> bool:
    """Return whether a cell has another character or attribute, or a clearly lighter or darker colour."""
    if (before.character, before.attributes) != (after.character, after.attributes):
        return True
    pairs = ((before.foreground, after.foreground), (before.background, after.background))
    return any(contrast(one, other) >= DRAWING for one, other in pairs)


@pytest.mark.parametrize("keys", [("", *KEYS[:3]), KEYS[3:-3]], ids=" ".join)
@pytest.mark.parametrize("size", [(80, 24), (120, 48)], ids=str)
async def test_the_focus_is_visible_without_hue(keys: tuple[str, ...], size: tuple[int, int]) -> None:
    """Of every part that can have it: its frame is heavier, or it is marked, reversed or has a cursor."""
    app = StillPlayground("playground-dark", chosen=True, snapshot=FULL)
    async with app.run_test(size=size) as pilot:
        await chat_answered(pilot)
        for prepare in (save_conversation, build, differ):
            await prepare(pilot)
        for key in keys:
            if key:
                await open_by(pilot, key)
            with case(key or "chat"):
                assert await without_visible_focus(pilot) == []


def looks_the_same(blurred: Appearance, focused: Appearance) -> bool:
    """Return whether a part looks the same, but for hue, with and without the focus."""
    return not any(differs_without_hue(blurred[at], focused[at]) for at in focused.keys() & blurred.keys())


async def without_visible_focus(pilot: Pilot[None]) -> list[str]:
    """Return the parts of the current screen that look the same, but for hue, with and without the focus.

    Without the focus, all of them are drawn once, at the end; a part that has been scrolled since it had the
    focus is drawn by itself.
    """
    app, missing = pilot.app, []
    focused: dict[Widget, tuple[Region, Appearance]] = {}
    for widget in list(app.screen.focus_chain):
        await give_focus(pilot, widget)
        if widget.region.overlaps(app.screen.region) and len(app.screen.focus_chain) >= 2:
            focused[widget] = widget.region, appearance(app, with_frame(widget))
    await give_focus(pilot, None)
    blurred = appearance(app)
    for widget, (region, shown) in focused.items():
        if widget.region != region:
            await give_focus(pilot, widget)
            shown = appearance(app, with_frame(widget))
            await give_focus(pilot, None)
            blurred = appearance(app)
        if looks_the_same(blurred, shown):
            missing.append(f"{type(widget).__name__} {widget.id or ' '.join(widget.classes)}")
    return missing


async def give_focus(pilot: Pilot[None], widget: Widget | None) -> None:
    """Move the focus to a part, or take it away, and draw the screen."""
    pilot.app.screen.set_focus(widget)
    await pilot.pause()
