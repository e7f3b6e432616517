"""What of a text a terminal may see."""

from __future__ import annotations

from app.terminal_text import displayable


def test_terminal_commands_are_not_obeyed() -> None:
    assert displayable("\x1b[2Jhi\x07\x9b1m\n\ttab") == "�[2Jhi��1m\n\ttab"
    assert displayable("naïve 漢字 🙂 [bold]") == "naïve 漢字 🙂 [bold]"
