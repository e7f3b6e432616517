"""Every key works; the table has every key that is bound; help, palette and README name keys that work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from textual.binding import Binding
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from app.keys import CHAT, EVERYWHERE, PARTS, PLACES, Part, keys_of, textual_name
from app.screens.help import HelpScreen, focused_parts
from app.state.side.phase import Phase
from app.widgets.chat.attachment_list import AttachmentList
from app.widgets.chat.transcript.transcript import Transcript
from app.widgets.key_footer import ESSENTIAL
from tests.app.driving import case, until_screen
from tests.app.still import StillPlayground, back_to_chat, chat_answered, set_phase
from tests.app.test_keys import PLACES as FOCUSES
from tests.app.test_keys import Place, RecordingPlayground, go

README = Path(__file__).parents[2] / "README.md"
CONDITIONAL = {
    ("PrecisionList", "C"),  # there while the chosen precision is calibrated
    ("Playground", "F9"),  # there while a side has failed
}
"""Keys whose help says when they work; `test_keys.py` and `test_prepare_options.py` press them."""
LARGE = (120, 48)
SIZES = ((80, 24), (120, 36))


def table_of(kind: type) -> Part | None:
    """Return the part of the table for a class or one of its bases; None if it has none."""
    names = {base.__name__ for base in kind.__mro__}
    return next((part for part in (EVERYWHERE, *PARTS) if part.owner in names), None)


def is_shown(binding: Binding) -> bool:
    """Return whether a binding is meant to be known: it is described, or the footer has it."""
    return bool(binding.description)


def test_the_table_has_every_key_that_is_described() -> None:
    """Those of the menu are the table's other half, and those of the help are at its lower edge."""
    for place in FOCUSES:
        if place.bound.__name__ not in ("GoToScreen", "HelpScreen"):
            kinds = [place.bound, *(one for one in place.bound.__mro__ if one.__module__.startswith("app."))]
            named = {textual_name(name) for kind in kinds for name in shown_names(table_of(kind))}
            if place.bound.__name__ == "Pane":  # its keys are pressed in the transcript
                named |= set(map(textual_name, shown_names(table_of(Transcript))))
            own = [one for one in vars(place.bound)["BINDINGS"] if is_shown(one)]
            assert {key for one in own for key in one.key.split(",")} <= named, place.bound.__name__


def shown_names(part: Part | None) -> list[str]:
    """Return the keys of a part."""
    return [name for key in part.keys for name in key.shown] if part else []


@pytest.mark.parametrize("places", [FOCUSES[number::4] for number in range(4)], ids=["1", "2", "3", "4"])
async def test_every_key_of_every_place(places: tuple[Place, ...]) -> None:
    """It reaches its action, the help names keys that work, and the footer keeps the essential ones.

    On every screen, with the focus in every part that binds keys. What the actions do is tested with each
    screen: here they are only recorded, so that one app takes all keys.
    """
    app = RecordingPlayground("playground-dark", chosen=True)
    async with app.run_test(size=LARGE) as pilot:
        await chat_answered(pilot)
        for place in places:
            with case(f"{place.bound.__name__} {place.focus}"):
                await restore(pilot)
                if place.prepare:
                    await place.prepare(pilot)
                await go(pilot, place)
                check_help(app.screen)
                await check_keys(pilot, app, place)
                await check_footer(pilot)


async def restore(pilot: Pilot[None]) -> None:
    """Return to the chat as it was before the last place: large, with nothing attached and no failed side."""
    app = pilot.app
    assert isinstance(app, RecordingPlayground)
    await pilot.resize_terminal(*LARGE)
    await back_to_chat(pilot)
    await app.screen.query_one(AttachmentList).show((), {})
    set_phase(app.left, Phase.READY)
    await pilot.pause()


async def check_keys(pilot: Pilot[None], app: RecordingPlayground, place: Place) -> None:
    """Check that every key reaches its action; no other widget intercepts it."""
    for key, action in place.bindings:
        app.recorded, app.is_recording = [], True
        await pilot.press(key)
        app.is_recording = False
        assert action in app.recorded, f"{key}: {app.recorded or 'no action'}, not {action}"


async def check_footer(pilot: Pilot[None]) -> None:
    """Check that the footer has the essential keys, at 80 columns too, and none that is cut."""
    for width, height in SIZES:
        await pilot.resize_terminal(width, height)
        await footer_settled(pilot)
        keys = list(pilot.app.screen.query("FooterKey"))
        assert all(key.region.right <= width for key in keys)
        if not pilot.app.screen.is_modal:
            actions = [str(getattr(key, "action", "")) for key in keys]
            assert all(any(one.endswith(action) for one in actions) for action in ESSENTIAL)


def check_help(screen: Screen[object]) -> None:
    """Check the keys of the focused part, its screen and the app, as the help lists them."""
    active, inner = screen.active_bindings, set[str]()
    nodes = [node for node in (screen.focused or screen).ancestors_with_self if isinstance(node, Widget)]
    for part in focused_parts(nodes):
        for name in shown_names(part):
            if (part.owner, name) not in CONDITIONAL and not takes_text(screen.focused, name):
                assert textual_name(name) in active, f"{part.title}: {name}"
            inner.add(name)
    for name in () if screen.is_modal else set(shown_names(EVERYWHERE)) - inner:
        if ("Playground", name) not in CONDITIONAL and not takes_text(screen.focused, name):
            assert active[textual_name(name)].node in (screen.app, screen), name


def takes_text(focused: Widget | None, name: str) -> bool:
    """Return whether the focused widget writes the character."""
    return len(name) == 1 and focused is not None and focused.check_consume_key(textual_name(name), name)


async def test_the_help_begins_with_the_focused_part() -> None:
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await chat_answered(pilot)
        for selector, title in (("#turns-left", "A side"), ("MemoryPanel", "A panel")):
            app.screen.query(selector).first().focus()
            await pilot.press("question_mark")
            page = await until_screen(pilot, HelpScreen)
            assert str(page.query(Static).first().content).startswith(title)
            assert "Esc closes" in str(page.query_one("#help").border_subtitle)
            await pilot.press("escape")


def readme_rows() -> list[tuple[str, str]]:
    """Return the key cells of the README, each with the cell of its action."""
    text = README.read_text("utf-8")
    table = text[text.index("| key | action |") :].split("\n\n")[0]
    rows = [[cell.strip() for cell in row.strip("| ").split(" | ")] for row in table.splitlines()[2:]]
    return [(row[at], row[at + 1]) for row in rows for at in range(0, len(row) - 1, 2)]


def test_the_readme_says_what_the_table_says() -> None:
    """Each action of its key table begins as in the help."""
    parts = [part for part in (EVERYWHERE, CHAT, *PARTS) if part.owner in ("Playground", "ChatScreen")]
    parts += [part for part in PARTS if part.owner in ("PromptInput", "Panel")]
    says = [(name, key.does) for part in parts for key in part.keys for name in key.shown]
    rows = readme_rows()
    assert len(rows) > 20
    for names, action in rows:
        for name in names.split(", "):
            assert any(name == one and does.startswith(action) for one, does in says), (name, action)


def test_every_function_key_is_in_the_menu() -> None:
    """F7 is Enter in a panel; F1, F2 and the others are places."""
    functions = {key.action for key in EVERYWHERE.keys if re.search(r"\bF\d", " ".join(key.shown))}
    assert functions <= {place.action for place in PLACES}
    assert all(len(place.key) == 1 for place in PLACES)
    assert len({place.key for place in PLACES}) == len(PLACES)
    assert keys_of("app.open('store')") == ["F8", "Ctrl+S E"]


async def footer_settled(pilot: Pilot[None]) -> None:
    """Wait until the footer has mounted its keys for the width."""
    await pilot.pause()
    await pilot.pause()
