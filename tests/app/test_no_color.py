"""With NO_COLOR nothing has a colour, and words and letters distinguish the sides."""

from __future__ import annotations

import html
import re

import pytest
from textual.pilot import Pilot

from tests.app.driving import wait_until
from tests.app.still import StillPlayground, by_key, chat_answered
from tests.app.widgets.samples import FULL, coloured

SCREENS = {"chat": chat_answered, "sampling": by_key("f4"), "settings": by_key("f6"), "models": by_key("f2")}


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> StillPlayground:
    monkeypatch.setenv("NO_COLOR", "1")
    return StillPlayground("playground-dark", chosen=True, snapshot=FULL)


def drawn(pilot: Pilot[None]) -> str:
    """Return the screen as SVG."""
    return pilot.app.export_screenshot()


def shown_text(picture: str) -> str:
    """Return the text of the SVG, line by line."""
    lines: dict[str, str] = {}
    for line, text in re.findall(r"<text[^>]*line-(\d+)\)\">([^<]*)</text>", picture):
        lines[line] = lines.get(line, "") + html.unescape(text).replace("\xa0", " ") + " "
    return "\n".join(lines.values())


@pytest.mark.parametrize("name", SCREENS)
@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_no_colour_and_both_sides_are_named(
    app: StillPlayground, name: str, size: tuple[int, int]
) -> None:
    async with app.run_test(size=size) as pilot:
        await SCREENS[name](pilot)
        picture = drawn(pilot)
        assert not coloured(app)
        text = shown_text(picture)
        if name != "settings":
            assert "Left" in text
            assert "Right" in text
        if name == "chat":
            panels = text[text.find("sk both sides") :]
            assert re.search(r"\bL\b", panels)
            assert re.search(r"\bR\b", panels)


async def test_a_checkbox_is_readable_without_colour(app: StillPlayground) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await SCREENS["settings"](pilot)
        assert "[X]" in shown_text(drawn(pilot))
        app.change_settings(panels=False)
        await wait_until(pilot, lambda: "[X]" not in shown_text(drawn(pilot)))
        assert "[ ]" in shown_text(drawn(pilot))
