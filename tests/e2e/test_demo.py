"""`--demo` on a first start, and the replay of what it has recorded, in a real terminal."""

from __future__ import annotations

import pytest

from app.state.conversation.suggested_prompts import suggested_prompts
from app.state.settings.paths import NAME
from app.state.settings.settings import DEMO
from tests.e2e.conftest import StartApp
from tests.e2e.test_first_run import gone

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
COMPARED = "as fast as|slower than"


def test_a_demo_from_nothing_and_its_replay(start: StartApp) -> None:
    """It builds the default engines without a question, types and asks; a key takes over; then the replay."""
    first, second, *_ = suggested_prompts(DEMO)
    terminal = start("--demo", width=100, height=30)
    terminal.wait_for("any key takes over.*OpenVINO int8.*PyTorch fp32")
    terminal.wait_for(f"{first[:20]}.*({COMPARED})")
    terminal.wait_for(second[:20])
    terminal.keys("Space")
    terminal.wait_for("the chat is yours")
    running = terminal.processes()
    terminal.keys("C-q")
    terminal.wait_for_exit()
    assert gone(running)
    assert not (terminal.folder / ".config" / NAME / "settings.toml").exists()
    (saved,) = (terminal.folder / ".local" / "share" / NAME / "conversations").glob("*.jsonl")

    replay = start("--replay", str(saved), width=100, height=30)
    replay.wait_for("Recorded on .* not running now")
    replay.keys("Right", "Right", "Right")
    replay.wait_for(f"OpenVINO int8.*PyTorch fp32.*{first[:20]}")
    replay.keys("Left", "Left", "Left")
    replay.wait_for("prompt 1 of")
    replay.keys("+", "+")
    replay.wait_for("4×")
    replay.wait_for(f"OpenVINO int8 is.*({COMPARED})")
    assert replay.workers() == []
    replay.keys("Escape")
    replay.wait_for_exit()
    assert replay.exit_status == 0
