"""Conversations survive a crash, and come back as they were."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from app.state.conversation import Conversation, Turn
from app.state.history import ConversationFile, read_conversation, saved_conversations
from engines.measure.timing import Timing
from engines.worker.protocol import Error


def answered(prompt: str, answer: str) -> Turn:
    timing = Timing(tokens=2, ttft=0.02, tpot=0.01, decode_rate=100.0)
    return Turn(prompt, answer, (1, 2, 3), (4, 5), 0, timing, "stop", engine="OpenVINO int8")


def test_round_trip(tmp_path: Path) -> None:
    file = ConversationFile(tmp_path / "deep")
    left, right = Conversation(), Conversation()
    for prompt in ("one", "two\n漢字 \x1b[0m"):
        for name, side in (("left", left), ("right", right)):
            side.turns.append(Turn(prompt))
            file.said(name, side)
            side.turns[-1] = answered(prompt, f"{prompt} answered on the {name}")
            file.said(name, side)
    left.turns[-1] = Turn("two", error=Error(1, "worker-died", "The worker ended."), attempt=1)
    file.said("left", left)
    assert file.path
    again = read_conversation(file.path)
    assert again["left"].turns == left.turns
    assert again["right"].turns == right.turns


def test_swapping_is_remembered(tmp_path: Path) -> None:
    file = ConversationFile(tmp_path)
    file.swapped()  # nothing was said: nothing to write
    assert not list(tmp_path.iterdir())
    file.said("left", Conversation(turns=[answered("one", "first")]))
    file.swapped()
    assert file.path
    assert read_conversation(file.path)["right"].turns[0].answer == "first"


def test_a_torn_line_costs_itself_alone(tmp_path: Path) -> None:
    file = ConversationFile(tmp_path)
    conversation = Conversation(turns=[answered("one", "first")])
    file.said("left", conversation)
    assert file.path
    with file.path.open("ab") as stream:
        stream.write(b'{"type":"said","side":"left","ind')
    conversation.turns.append(answered("two", "second"))
    file.said("left", conversation)
    assert [turn.prompt for turn in read_conversation(file.path)["left"].turns] == ["one", "two"]


def test_sigkill_mid_answer_keeps_all_but_the_unfinished_answer(tmp_path: Path) -> None:
    code = """
import os, signal, sys
from pathlib import Path
from app.state.conversation import Conversation, Turn
from app.state.history import ConversationFile
file = ConversationFile(Path(sys.argv[1]))
conversation = Conversation(turns=[Turn("one", "first", reason="stop")])
file.said("left", conversation)
conversation.turns.append(Turn("two"))
file.said("left", conversation)
conversation.turns[-1].answer = "half an"
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    [saved] = saved_conversations(tmp_path)
    turns = read_conversation(saved.path)["left"].turns
    assert [(turn.prompt, turn.answer) for turn in turns] == [("one", "first"), ("two", "")]


def test_the_list_is_newest_first_and_skips_rubbish(tmp_path: Path) -> None:
    (tmp_path / "rubbish.jsonl").write_bytes(b"\x00\xff{]\n")
    assert saved_conversations(tmp_path / "none") == []
    file = ConversationFile(tmp_path)
    for prompt in ("older", "newer"):
        file.said("right", Conversation(turns=[answered(prompt, "yes")]))
        file.close()
    assert [one.title for one in saved_conversations(tmp_path)] in (["newer", "older"], ["older", "newer"])
    assert len(list(tmp_path.glob("*.jsonl"))) == 3
