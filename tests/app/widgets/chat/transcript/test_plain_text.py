"""A very long answer is drawn as plain text, and only its end."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from app.state.conversation.turn import Turn
from app.widgets.chat.transcript.line_renderer import LineRenderer
from app.widgets.chat.transcript.plain_text import LONG_CHARACTERS, LONG_LINES
from app.widgets.chat.transcript.rendered_turn import RenderedTurn
from tests.app.widgets.chat.transcript.test_incremental_markdown import plain, renderer

__all__ = ["renderer"]


@pytest.mark.parametrize("piece", ["- x\n", "|a|b|\n", "x", "漢字", "\x1b[2J\n", "\t"])
@pytest.mark.parametrize("ended", [True, False])
def test_a_long_answer_is_drawn_in_bounded_lines(renderer: LineRenderer, piece: str, ended: bool) -> None:
    turn = RenderedTurn(Turn("prompt", piece * (1_000_000 // len(piece)) + "\nthe end", reason="stop"))
    turn.ended = ended
    lines = turn.lines(renderer)
    assert len(lines) < LONG_LINES + 100
    text = "\n".join(plain(lines))
    assert "characters above are not drawn" in text
    assert "the end" in text
    assert "\x1b" not in text
    assert max(cell_len(line) for line in text.split("\n")) <= renderer.width
    assert len(text) < 2 * LONG_CHARACTERS


def test_a_shorter_answer_is_markdown(renderer: LineRenderer) -> None:
    turn = RenderedTurn(Turn("prompt", "**bold** " * 1_000, reason="stop"))
    assert "**" not in "\n".join(plain(turn.lines(renderer)))
