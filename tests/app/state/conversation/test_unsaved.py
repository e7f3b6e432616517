"""What a full disk refused is written later, in order; and a file with a gap is read to its end."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.state.conversation.conversation import Conversation, Turn
from app.state.conversation.conversation_file import ConversationFile, Record
from app.state.conversation.record import TurnLine, encode_line, read_record
from app.state.conversation.saved_conversations import delete_conversation, saved_conversations
from tests.app.state.processes import run_alone


@contextlib.contextmanager
def full_disk(bytes_left: int, path: Path | None = None) -> Iterator[None]:
    """Let files grow by a few bytes only. In a process of the test's own: the limit is the process's."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = path.stat().st_size if path else 0
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + bytes_left, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def ask(file: ConversationFile, conversation: Conversation, *asked: str) -> None:
    for prompt in asked:
        conversation.add(Turn(prompt, f"{prompt} answered", reason="stop"))
        file.append_turn("left", conversation)


def prompts(path: Path | None, side: str = "left") -> list[str]:
    assert path
    return [turn.prompt for turn in read_record(path).sides[side].turns]


def talk_on_a_full_disk(folder: Path, bytes_left: int) -> None:
    file, conversation = ConversationFile(folder), Conversation()
    ask(file, conversation, "one")
    with full_disk(bytes_left, file.path):
        for number, prompt in enumerate(("two", "three"), start=1):
            with pytest.raises(OSError, match="File too large"):
                ask(file, conversation, prompt)
            assert file.unsaved == number
            assert prompts(file.path) == ["one"]
        with pytest.raises(OSError, match="File too large"):
            file.append_swap()
    ask(file, conversation, "four")
    assert file.unsaved == 0
    sides = read_record(file.path).sides if file.path else {}
    assert [turn.prompt for turn in sides["right"].turns] == ["one", "two", "three"], "swapped once"
    assert [turn.prompt for turn in sides["left"].turns] == ["four"]


@pytest.mark.parametrize("bytes_left", [0, 20, 300])
def test_turns_are_written_when_there_is_space_again(tmp_path: Path, bytes_left: int) -> None:
    """Also where the disk took half of a line, or the first line of several."""
    run_alone(talk_on_a_full_disk, tmp_path / "talks", bytes_left)


def begin_on_a_full_disk(folder: Path) -> None:
    file, conversation = ConversationFile(folder), Conversation()
    with full_disk(30), pytest.raises(OSError, match="File too large"):
        ask(file, conversation, "one")
    assert (file.path, list(folder.iterdir())) == (None, [])
    with full_disk(30):
        file.reopen(Record(), None)
        assert file.unsaved == 1, "of the conversation that was left"
    other = Conversation()
    ask(file, other, "another")
    assert file.unsaved == 0
    assert sorted(saved.title for saved in saved_conversations(folder)) == ["another", "one"]


def test_a_conversation_that_was_left_unsaved_is_written_with_the_next_one(tmp_path: Path) -> None:
    run_alone(begin_on_a_full_disk, tmp_path / "talks")


def come_back(folder: Path) -> None:
    file, conversation = ConversationFile(folder), Conversation()
    ask(file, conversation, "one")
    path = file.path
    with full_disk(0, path):
        with pytest.raises(OSError, match="File too large"):
            ask(file, conversation, "two")
        file.reopen(Record(), None)
        assert path
        conversation = file.reopen(read_record(path), path).sides["left"]
        assert [turn.prompt for turn in conversation.turns] == ["one", "two"], "though the file has one"
    ask(file, conversation, "three")
    assert prompts(path) == ["one", "two", "three"]


def test_a_conversation_with_unsaved_turns_is_reopened_with_them(tmp_path: Path) -> None:
    run_alone(come_back, tmp_path / "talks")


def quit_with_unsaved(folder: Path) -> None:
    file, conversation = ConversationFile(folder), Conversation()
    ask(file, conversation, "one")
    with full_disk(0, file.path), pytest.raises(OSError, match="File too large"):
        ask(file, conversation, "two")
    file.close()
    assert prompts(file.path) == ["one", "two"]


def test_quitting_tries_once_more(tmp_path: Path) -> None:
    run_alone(quit_with_unsaved, tmp_path / "talks")


def delete_with_unsaved(folder: Path) -> None:
    file, conversation = ConversationFile(folder), Conversation()
    ask(file, conversation, "one")
    with full_disk(0, file.path), pytest.raises(OSError, match="File too large"):
        ask(file, conversation, "two")
    assert file.path
    delete_conversation(file.path)
    file.reopen(Record(), None)
    assert (file.unsaved, list(folder.iterdir())) == (0, [])


def test_a_deleted_conversation_does_not_come_back(tmp_path: Path) -> None:
    run_alone(delete_with_unsaved, tmp_path / "talks")


def file_with_a_gap(folder: Path) -> Path:
    """Turns 2 and 3 were never written, as by an earlier version on a full disk."""
    path = folder / "gap.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    turns = [TurnLine("left", number, Turn(f"{number}", "yes"), number - 1) for number in range(6)]
    lines = [encode_line(line) for line in turns]
    path.write_bytes(b"".join([*lines[:2], *lines[4:], encode_line(TurnLine("left", 4, Turn("4", "no"), 3))]))
    return path


def test_a_file_with_a_gap_is_read_to_its_end_and_continued(tmp_path: Path) -> None:
    path = file_with_a_gap(tmp_path / "talks")
    record = read_record(path)
    assert record.has_gaps
    turns = [(turn.prompt, turn.answer) for turn in record.sides["left"].turns]
    assert turns == [("0", "yes"), ("1", "yes"), ("4", "no"), ("5", "yes")]
    file = ConversationFile(path.parent)
    conversation = file.reopen(record, path).sides["left"]
    ask(file, conversation, "6", "7")
    assert not read_record(path).has_gaps
    assert prompts(path) == ["0", "1", "4", "5", "6", "7"]
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_half_of_a_surrogate_pair_is_saved(tmp_path: Path) -> None:
    """A tokenizer may yield it, and it is not valid in UTF-8."""
    file, conversation = ConversationFile(tmp_path / "talks"), Conversation()
    conversation.add(Turn("prompt", "half \ud83d of it", reason="stop"))
    file.append_turn("left", conversation)
    assert file.path
    [turn] = read_record(file.path).sides["left"].turns
    assert (turn.answer, turn.reason) == ("half ? of it", "stop")
