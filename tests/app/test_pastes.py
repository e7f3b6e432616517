"""Large and odd pastes: the app takes keys afterwards, and shows what was pasted."""

from __future__ import annotations

import pytest
from textual import events

from app.screens.chat import ChatScreen
from app.state.conversation.attachment import LARGEST
from tests.app.still import StillPlayground, chat_empty

MIB = 1 << 20
SHORT = {
    "tabs": "\t" * 200,
    "combining marks": "e" + "\u0301" * 500,
    "marks alone": "\u0301\u200d\ufe0f" * 200,
    "replaced bytes": "caf\ufffd \ufffd",
    "right to left": "\u202eمرحبا\u2066",
    "wide": "界" * 400,
    "control characters": "".join(map(chr, range(1, 32))) + "\x7f\x9b",
    "line separators": "a\u2028b\u2029c\x0bd\x0ce\x85f\r\ng\rh",
    "one long word": "w" * 900,
}
LONG = {
    "lines": "a line of text\n" * (LARGEST // 15),
    "one line": "w" * LARGEST,
    "marks": ("e" + "\u0301" * 500) * (LARGEST // 1002),
    "tabs": "\t" * LARGEST,
    "too large": "w" * (LARGEST + MIB),
}


@pytest.mark.parametrize("name", SHORT)
async def test_a_short_paste_is_text(name: str) -> None:
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await chat_empty(pilot)
        assert isinstance(app.screen, ChatScreen)
        app.post_message(events.Paste(SHORT[name]))
        await pilot.press("x", "home", "up", "down", "end")
        text = app.screen.composer.box.text
        assert text.endswith("x")
        assert len(text) > 1


@pytest.mark.parametrize("name", LONG)
async def test_a_paste_of_a_megabyte(name: str) -> None:
    """It becomes an attachment, or is refused; the prompt takes the next key."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await chat_empty(pilot)
        assert isinstance(app.screen, ChatScreen)
        app.post_message(events.Paste(LONG[name]))
        await pilot.press("x")
        assert app.screen.composer.box.text == "x"
        assert len(app.screen.composer.attachments) == (len(LONG[name]) <= LARGEST)
