"""Text between the engine's rate and the screen's."""

from __future__ import annotations

from app.state.stream import BUSY_SECONDS, CALM_SECONDS, FlushPolicy, displayable


def test_flushes_slow_down_and_recover() -> None:
    policy = FlushPolicy()
    assert policy.after_flush(rate=100, seconds=0.01) == CALM_SECONDS
    assert policy.after_flush(rate=800, seconds=0.01) == BUSY_SECONDS
    assert policy.after_flush(rate=100, seconds=0.09) == BUSY_SECONDS
    assert policy.after_flush(rate=100, seconds=0.01) == CALM_SECONDS


def test_terminal_commands_are_not_obeyed() -> None:
    assert displayable("\x1b[2Jhi\x07\x9b1m\n\ttab") == "�[2Jhi��1m\n\ttab"
    assert displayable("naïve 漢字 🙂 [bold]") == "naïve 漢字 🙂 [bold]"
