"""Two engines compared token by token, in a real terminal: from the chat to a branch and a report."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from app.state.settings.settings import EngineChoice
from tests.e2e.conftest import StartApp
from tests.e2e.test_first_run import LIGHT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
SETTINGS = replace(LIGHT, left=EngineChoice("openvino", "int4"), chosen=True, welcomed=True)


def test_from_the_chat_to_a_branch_and_a_report(start: StartApp) -> None:
    """The comparison opens at the first other token; a branch is a version of the turn in the chat."""
    terminal = start(width=160, height=48, settings=SETTINGS)
    terminal.wait_for(r"OpenVINO int4.*OpenVINO int8.* ready ─╯╰─+ ready ─╯")
    terminal.type("What is quantisation?")
    terminal.keys("Enter")
    terminal.wait_for(r"OpenVINO int4 is .*OpenVINO int8.*(same for \d+ token|identical, \d+ token)")
    terminal.keys("F5")
    terminal.wait_for(r"‹ 1 of 1 ›  What is quantisation\?.*OpenVINO int4 (leaves at token|writes the same)")
    terminal.wait_for(r"Token \d+ of \d+")
    terminal.keys("Home", "Right", "Right")
    terminal.wait_for(r"Token 3 of \d+")
    terminal.keys("b")
    terminal.wait_for(r"Instead of .*OpenVINO int4 continues from it")
    terminal.keys("Enter")
    terminal.wait_for(r"Kept as a version")
    terminal.wait_for(r"OpenVINO int4, branch at token 3")
    terminal.keys("e")
    terminal.wait_for("Report in")
    [saved] = terminal.folder.rglob("comparison.json")
    [answer] = json.loads(saved.read_text("utf-8"))["answers"]
    assert [branch["position"] for branch in answer["branches"]] == [2]
    assert {file.name for file in saved.parent.iterdir()} == {
        f"comparison.{suffix}" for suffix in ("json", "csv", "md", "html")
    }
    terminal.keys("Escape")
    terminal.wait_for("version 2 of 2")
    terminal.keys("C-q")
    terminal.wait_for_exit()
    assert terminal.exit_status == 0
