"""The list of conversations: names, search, deletion."""

from __future__ import annotations

import os
from pathlib import Path

from app.state.conversation.conversation import Conversation, Turn
from app.state.conversation.conversation_file import ConversationFile, read_record
from app.state.conversation.saved_conversations import delete_conversation, matching, saved_conversations


def save(folder: Path, *turns: Turn, age: int = 0) -> ConversationFile:
    file, conversation = ConversationFile(folder), Conversation()
    for turn in turns:
        conversation.add(turn)
        file.append_turn("left", conversation)
    assert file.path
    changed = file.path.stat().st_mtime - age
    os.utime(file.path, (changed, changed))
    return file


def test_newest_first_and_a_name_changes_no_place(tmp_path: Path) -> None:
    old = save(tmp_path, Turn("older", "yes", engine="OpenVINO int8"), age=100)
    save(tmp_path, Turn("newer\nin two lines", "no"))
    old.append_name("The first one")
    assert [(one.title, one.turns, one.engines) for one in saved_conversations(tmp_path)] == [
        ("newer in two lines", 1, ("", "")),
        ("The first one", 1, ("OpenVINO int8", "")),
    ]
    old.append_name("")
    assert saved_conversations(tmp_path)[1].title == "older"


def test_a_name_stays_when_the_conversation_goes_on(tmp_path: Path) -> None:
    file = save(tmp_path, Turn("one", "first"))
    file.append_name("A name")
    assert file.path
    record = read_record(file.path)
    record.sides["left"].add(Turn("two", "second"))
    file.append_turn("left", record.sides["left"])
    assert read_record(file.path).title == "A name"
    assert saved_conversations(tmp_path)[0].turns == 2


def test_search_looks_into_titles_answers_and_older_versions(tmp_path: Path) -> None:
    save(tmp_path, Turn("What is a KV cache?", "It keeps keys. " * 20 + "Straße (x*) ends it."))
    file = save(tmp_path, Turn("Tell a story", "There was a lamp."))
    again = Conversation()
    again.add(Turn("Tell a story", "There was a lamp."))
    again.begin_again("engine", prompt="Sing a song")
    file.append_turn("left", again)
    saved = saved_conversations(tmp_path)

    def found(search: str) -> set[str]:
        return {one.title for one in matching(saved, search)}

    assert found("") == found("a") == {"What is a KV cache?", "Sing a song"}
    assert found("LAMP") == found("story lamp") == {"Sing a song"}
    assert found("(x*)") == found("keys straße") == {"What is a KV cache?"}
    assert found("lamp keys") == set()
    [kv] = matching(saved, "straße")
    assert kv.excerpt(["straße"]).startswith("… ")
    assert "Straße (x*) ends it." in kv.excerpt(["straße"])


def test_delete(tmp_path: Path) -> None:
    save(tmp_path, Turn("one", "first"))
    [saved] = saved_conversations(tmp_path)
    delete_conversation(saved.path)
    delete_conversation(saved.path)  # another window was faster
    assert saved_conversations(tmp_path) == []
