"""`trt-playground conversations` through the installed script."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from app.state.conversation.conversation import Conversation
from app.state.conversation.conversation_file import ConversationFile
from app.state.settings.paths import conversation_folder
from tests.app import still
from tests.app.cli.test_main import run


@pytest.fixture
def saved() -> list[Path]:
    """Two saved conversations, newest first."""
    paths = []
    for age, prompt in enumerate(("What is a KV cache?", "Tell a story")):
        file, conversation = ConversationFile(conversation_folder()), Conversation()
        conversation.add(still.turn("left", prompt))
        file.append_turn("left", conversation)
        assert file.path
        os.utime(file.path, (1_790_000_000 - age,) * 2)
        paths.append(file.path)
    return paths


def test_list_and_show(saved: list[Path]) -> None:
    listed = run("conversations").stdout
    assert listed == run("conversations", "ls").stdout
    assert listed.index("1  2026") < listed.index("KV cache") < listed.index("Tell a story")
    found = run("conversations", "ls", "STORY").stdout
    assert found.strip().startswith("2 ")
    assert "KV" not in found
    shown = run("conversations", "show", "2")
    assert shown.stdout == run("conversations", "show", str(saved[1])).stdout
    assert shown.stdout.startswith("# Tell a story\n")
    assert "172 tok/s" in shown.stdout


def test_export(saved: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports to the documents folder or to --to; overwrites a file only with --force."""
    monkeypatch.setenv("XDG_DOCUMENTS_DIR", str(tmp_path / "Documents"))
    done = run("conversations", "export")
    assert done.stdout == f"Exported to {tmp_path / 'Documents' / 'What is a KV cache.md'}\n"
    assert (
        str(tmp_path / "Documents" / "Tell a story.json")
        in run("conversations", "export", "2", "--json").stdout
    )
    target = tmp_path / "chat.json"
    assert run("conversations", "export", "2", "--to", str(target)).returncode == 0
    assert json.loads(target.read_text())["title"] == "Tell a story"
    again = run("conversations", "export", "1", "--to", str(target))
    assert again.returncode == 1
    assert "--force" in again.stderr
    assert run("conversations", "export", "1", "--to", str(target), "--force").returncode == 0
    assert json.loads(target.read_text())["title"] == "What is a KV cache?"
    assert run("conversations", "export", "--to", "chat.txt").returncode == 2


def test_remove(saved: list[Path]) -> None:
    assert run("conversations", "rm", "1").returncode == 1  # not confirmed
    assert saved[0].exists()
    assert "Deleted “What is a KV cache?”" in run("conversations", "rm", "1", "--yes").stdout
    assert not saved[0].exists()


@pytest.mark.parametrize("which", ["3", "0", "nowhere.jsonl"])
def test_missing_conversations_are_reported(which: str) -> None:
    for command in (("show",), ("export",), ("rm", "--yes")):
        done = run("conversations", *command, which)
        assert done.returncode == 1
        assert done.stderr
        assert "Traceback" not in done.stderr
