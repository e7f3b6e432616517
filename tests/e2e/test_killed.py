"""The app killed during an answer, in a real terminal with real engines."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from app.state.conversation.conversation_file import read_record
from app.state.settings.paths import NAME
from app.state.settings.settings import ChatOptions, Settings
from engines.worker.protocol import Sampling
from tests.e2e.conftest import StartApp
from tests.e2e.terminal import Terminal
from tests.e2e.test_first_run import ANSWERED, BOTH_READY, gone

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
FIRST, SECOND, THIRD = "What is a KV cache", "Tell me a story", "And what came then"
LEFT_ANSWERED = r"ready ─╯╰─+ decode \d"
"""Phases in the lower borders of the panes: the left side has answered, the right side is decoding."""


def saved_prompts_and_answers(home: Path) -> dict[str, list[tuple[str, bool]]]:
    """Return the prompts of each side in the saved file, and whether they have an answer."""
    [path] = (home / ".local" / "share" / NAME / "conversations").glob("*.jsonl")
    sides = read_record(path).sides
    return {name: [(turn.prompt, turn.answered) for turn in side.turns] for name, side in sides.items()}


def ask(terminal: Terminal, prompt: str) -> None:
    terminal.type(prompt)
    terminal.keys("Enter")


def test_sigkill_during_an_answer(start: StartApp) -> None:
    """No worker is left; prompts and complete answers are saved, and the conversation continues."""
    long = ChatOptions(sampling=Sampling(max_tokens=300, ignore_eos=True))
    settings = Settings(chosen=True, welcomed=True, right_chat=long)
    terminal = start(width=160, height=48, settings=settings)
    terminal.wait_for(BOTH_READY)
    ask(terminal, FIRST)
    terminal.wait_for(rf"{FIRST}.*{FIRST}.*{ANSWERED}")
    ask(terminal, SECOND)
    terminal.wait_for(rf"{SECOND}.*{LEFT_ANSWERED}")
    others = [process for process in terminal.processes() if process.pid != terminal.pid]
    assert len(terminal.workers()) == 2
    os.kill(terminal.pid, signal.SIGKILL)
    assert gone(others)
    expected = {"left": [(FIRST, True), (SECOND, True)], "right": [(FIRST, True), (SECOND, False)]}
    assert saved_prompts_and_answers(terminal.folder) == expected
    _check_continues(terminal)


def _check_continues(terminal: Terminal) -> None:
    """Restart the app, reopen the conversation, and check that both sides answer the next prompt."""
    terminal.start_again()
    terminal.wait_for(BOTH_READY)
    terminal.keys("F3")
    terminal.wait_for(rf"{FIRST}.*2 turns")
    terminal.keys("Enter")
    terminal.wait_for(rf"{SECOND}.*the app closed before the answer")
    ask(terminal, THIRD)
    terminal.wait_for(rf"{THIRD}.*{THIRD}.*{ANSWERED}|{THIRD}.*earlier answers differ")
    assert [answered for _, answered in saved_prompts_and_answers(terminal.folder)["right"]] == [
        True,
        False,
        True,
    ]
    terminal.keys("C-q")
    terminal.wait_for_exit()
