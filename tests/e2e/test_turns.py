"""Turns edited, regenerated, swapped, stopped, reopened and exported, in a real terminal."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.e2e.conftest import StartApp
from tests.e2e.terminal import Terminal, playground
from tests.e2e.test_first_run import ANSWERED, build_defaults

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def ask(terminal: Terminal, prompt: str) -> None:
    """Send a prompt and wait for both answers."""
    terminal.type(prompt)
    terminal.keys("Enter")
    terminal.wait_for(rf"{prompt}.*{prompt}.*{ANSWERED}")


def focus_right_side(terminal: Terminal) -> None:
    """Move the focus from the prompt to the right side and wait for its keys in the footer."""
    terminal.keys("BTab")
    terminal.wait_for("c Copy.*e Edit.*r Retry")


def test_turns_are_edited_swapped_and_reopened(start: StartApp) -> None:
    terminal = start(width=160, height=48)
    build_defaults(terminal)
    ask(terminal, "What is a KV cache")
    focus_right_side(terminal)
    terminal.keys("p")
    terminal.wait_for("c copy.*e edit.*r retry")
    terminal.keys("e")
    terminal.wait_for("Editing an earlier prompt")
    terminal.type(" good for?")
    terminal.keys("Enter")
    terminal.wait_for(rf"good for\?.*version 2 of 2.*{ANSWERED}")
    focus_right_side(terminal)
    terminal.keys("r")
    terminal.wait_for(rf"version 3 of 3.*version 3 of 3.*{ANSWERED}")
    terminal.keys("Left")
    terminal.wait_for("version 2 of 3")
    terminal.keys("Left")
    terminal.wait_for("version 1 of 3")
    terminal.keys("C-x")
    terminal.wait_for("Left · PyTorch fp32.*Right · OpenVINO int8")
    terminal.keys("Tab")
    terminal.wait_for("Send.*Stop")  # the prompt's keys in the footer: it has the focus
    terminal.type("Tell me a story")
    terminal.keys("Enter")
    terminal.wait_for(r"(decode|prefill)[^│╯\n]*─╯")  # in the border of a side
    terminal.keys("Escape")
    terminal.wait_for("cancelled")
    terminal.keys("C-q")
    terminal.wait_for_exit()
    _check_reopening(terminal)
    _check_export(terminal)


def _check_reopening(terminal: Terminal) -> None:
    """Restart the app and reopen the conversation, which is not shown before."""
    terminal.start_again()
    terminal.wait_for(r"PyTorch fp32.*OpenVINO int8.* ready ─╯╰─+ ready ─╯")
    terminal.keys("F3")
    terminal.wait_for("What is a KV cache.*2 turns")
    terminal.keys("Enter")
    terminal.wait_for("Tell me a story.*cancelled")
    terminal.keys("C-q")
    terminal.wait_for_exit()


def _check_export(terminal: Terminal) -> None:
    """Export on the command line; the file has every version."""
    path = terminal.folder / "chat.json"
    command = playground("conversations", "export", "1", "--to", str(path))
    subprocess.run(command, check=True, env={"HOME": str(terminal.folder)}, capture_output=True)
    text = path.read_text()
    assert json.loads(text)
    assert "What is a KV cache good for?" in text
    assert "Tell me a story" in text
