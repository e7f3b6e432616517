"""Conversations survive a crash, and come back as they were."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from app.state.conversation.conversation import Conversation, Turn
from app.state.conversation.conversation_file import ConversationFile, Record, read_conversation
from app.state.conversation.saved_conversations import saved_conversations
from engines.measure.timing import Timing
from engines.worker.protocol import Error


def answered(prompt: str, answer: str) -> Turn:
    timing = Timing(tokens=2, ttft=0.02, tpot=0.01, decode_rate=100.0)
    return Turn(prompt, answer, 3, "digest", (4, 5), 0, timing, "stop", engine="OpenVINO int8")


def saying(turn: Turn) -> Conversation:
    conversation = Conversation()
    conversation.add(turn)
    return conversation


def test_round_trip(tmp_path: Path) -> None:
    file = ConversationFile(tmp_path / "deep")
    left, right = Conversation(), Conversation()
    for prompt in ("one", "two\n漢字 \x1b[0m"):
        for name, side in (("left", left), ("right", right)):
            turn = side.begin(prompt, "")
            file.append_turn(name, side)
            vars(turn).update(vars(answered(prompt, f"{prompt} answered on the {name}")))
            file.append_turn(name, side)
    again = left.begin_again("OpenVINO int8")
    assert again
    again.error = Error(1, "worker-died", "The worker ended.")
    file.append_turn("left", left)
    assert file.path
    sides = read_conversation(file.path)
    assert sides["left"].turns == left.turns
    assert sides["left"].versions(1) == left.versions(1)
    assert sides["right"].turns == right.turns


def test_swapping_is_remembered(tmp_path: Path) -> None:
    file = ConversationFile(tmp_path)
    file.append_swap()  # nothing was said: nothing to write
    assert not list(tmp_path.iterdir())
    file.append_turn("left", saying(answered("one", "first")))
    file.append_swap()
    assert file.path
    assert read_conversation(file.path)["right"].turns[0].answer == "first"


def test_an_answer_that_is_saved_late_goes_to_its_own_conversation(tmp_path: Path) -> None:
    """Also where another one was opened meanwhile, and not where the user has deleted its own."""
    file = ConversationFile(tmp_path)
    conversation = Conversation()
    turn = conversation.begin("one", "")
    file.append_turn("left", conversation)
    writer, first = file.writer, file.path
    assert first
    file.reopen(Record(), None)
    vars(turn).update(vars(answered("one", "first")))
    file.append_turn("left", conversation, writer)
    assert [one.answer for one in read_conversation(first)["left"].turns] == ["first"]
    assert file.path is None
    assert not file.unsaved

    first.unlink()
    file.append_turn("left", conversation, writer)
    assert not first.exists()
    file.append_turn("left", saying(answered("two", "second")))
    assert file.path
    assert [one.prompt for one in read_conversation(file.path)["left"].turns] == ["two"]


def test_a_torn_line_costs_itself_alone(tmp_path: Path) -> None:
    file = ConversationFile(tmp_path)
    conversation = saying(answered("one", "first"))
    file.append_turn("left", conversation)
    assert file.path
    with file.path.open("ab") as stream:
        stream.write(b'{"type":"said","side":"left","ind')
    conversation.add(answered("two", "second"))
    file.append_turn("left", conversation)
    assert [turn.prompt for turn in read_conversation(file.path)["left"].turns] == ["one", "two"]


def test_sigkill_mid_answer_keeps_all_but_the_unfinished_answer(tmp_path: Path) -> None:
    code = """
import os, signal, sys
from pathlib import Path
from app.state.conversation.conversation import Conversation, Turn
from app.state.conversation.conversation_file import ConversationFile
file = ConversationFile(Path(sys.argv[1]))
conversation = Conversation()
conversation.add(Turn("one", "first", reason="stop"))
file.append_turn("left", conversation)
conversation.add(Turn("two"))
file.append_turn("left", conversation)
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
        file.append_turn("right", saying(answered(prompt, "yes")))
        file.reopen(Record(), None)
    assert [one.title for one in saved_conversations(tmp_path)] in (["newer", "older"], ["older", "newer"])
    assert len(list(tmp_path.glob("*.jsonl"))) == 3


def test_versions_come_back(tmp_path: Path) -> None:
    """The path that was chosen is shown again, and what was said below each version is still there."""
    file, conversation = ConversationFile(tmp_path), Conversation()
    for prompt in ("one", "two", "three"):
        conversation.add(answered(prompt, "first"))
        file.append_turn("left", conversation)
    conversation.begin_again("engine", 1, "two, edited")
    file.append_turn("left", conversation)
    assert file.path
    assert prompts(read_conversation(file.path)["left"]) == ["one", "two, edited"]
    conversation.choose(1)
    file.append_choice("left", 1)
    again = read_conversation(file.path)["left"]
    assert prompts(again) == prompts(conversation) == ["one", "two", "three"]
    assert [turn.prompt for turn in again.versions(1)] == ["two", "two, edited"]


def test_lines_about_what_is_not_there(tmp_path: Path) -> None:
    """Lines that make no sense are skipped, and a turn after a gap in the numbers is kept."""
    path = tmp_path / "a.jsonl"
    turn = '"turn":{"prompt":"x"}'
    lines = [
        f'{{"type":"said","side":"left","index":0,{turn}}}',
        '{"type":"said","side":"left","index":5,"turn":{"prompt":"after"}}',
        f'{{"type":"said","side":"left","index":1,"parent":1,{turn}}}',
        f'{{"type":"said","side":"left","index":1,"parent":-7,{turn}}}',
        '{"type":"chosen","side":"left","index":9}',
        '{"type":"chosen","side":"left","index":-9}',
    ]
    path.write_text("\n".join(lines))
    assert prompts(read_conversation(path)["left"]) == ["x", "after"]


def prompts(conversation: Conversation) -> list[str]:
    return [turn.prompt for turn in conversation.turns]
