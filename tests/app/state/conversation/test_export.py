"""Conversations as Markdown and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.state.conversation.conversation_file import Record
from app.state.conversation.export import exported, free_path, problem, write_export
from engines.measure.timing import Timing
from engines.worker.protocol import Error, Sampling


def record() -> Record:
    record = Record()
    for name, rate in (("left", 171.8), ("right", 45.2)):
        turn = record.sides[name].begin("What is a\nKV cache?", f"Engine | {name}")
        turn.answer, turn.reason, turn.mode = f"It keeps keys, says {name}.", "stop", "in turn"
        turn.timing = Timing(2, 0.02, 0.01, rate, 0.01, 0.012)
        turn.token_ids, turn.sampling = (4, 5), Sampling(seed=3)
        turn.checkpoint, turn.system_prompt, turn.asked_at = "demo", "Be short.", 1_790_000_000.0
    left, right = record.sides.values()
    left.begin("Only left", "Engine").error = Error(1, "worker-died", "The worker ended.")
    right.begin("More", "Engine").answer = "```python\nnever ends"
    left.begin("More", "Engine").answer = "\x1b[31mfine"
    return record


def test_markdown_has_both_sides_and_their_figures() -> None:
    text = exported(record(), ".md").decode()
    lines = text.splitlines()
    assert lines[0] == "# What is a KV cache?"
    assert "- Left: Engine \\| left on demo" in text
    assert "- Right, system prompt: Be short." in text
    assert "> What is a\n> KV cache?" in text
    assert "It keeps keys, says right." in text
    [row] = [line for line in lines if line.startswith("| Left | Engine \\| left")]
    assert "| 172 tok/s | 20.0 ms | n/a | 10.0 ms | 12.0 ms | 2 | stop | in turn |" in row
    assert "*Failed: The worker ended.*" in text
    assert [line for line in lines if line.startswith("## ")] == ["## Prompt 1", "## Prompt 2", "## Prompt 3"]
    assert "```python\nnever ends\n```" in text
    assert "\x1b" not in text


def test_json_has_every_version() -> None:
    one = record()
    one.name = "A name"
    one.sides["left"].begin_again("Engine", 0, "Another")
    found = json.loads(exported(one, ".json"))
    assert found["title"] == "A name"
    left = found["left"]
    assert left["shown"] == [3]
    assert [(turn["number"], turn["parent"]) for turn in left["turns"]] == [
        (0, None),
        (1, 0),
        (2, 1),
        (3, None),
    ]
    first = left["turns"][0]["turn"]
    assert (first["mode"], first["checkpoint"], first["system_prompt"]) == ("in turn", "demo", "Be short.")
    assert first["timing"]["decode_rate"] == 171.8
    assert first["sampling"]["seed"] == 3
    assert found["right"]["turns"][0]["turn"]["token_ids"] == [4, 5]


def test_nothing_is_replaced_by_accident(tmp_path: Path) -> None:
    path = free_path(tmp_path, record().title)
    assert path.name == "What is a KV cache.md"
    write_export(record(), path)
    assert free_path(tmp_path, record().title).name == "What is a KV cache 2.md"
    with pytest.raises(FileExistsError):
        write_export(Record(), path)
    assert "KV cache" in path.read_text()
    write_export(Record(), path, replace=True)
    assert "KV cache" not in path.read_text()
    assert len(list(tmp_path.iterdir())) == 1


def test_names_of_files(tmp_path: Path) -> None:
    assert free_path(tmp_path, "../a/b: c?\x1b").name == "ab c.md"
    assert free_path(tmp_path, "..").name == "conversation.md"
    assert not problem("a.md")
    assert not problem("/deep/a.json")
    assert all(problem(text) for text in ("", "a", "a.txt", ".md", "  "))


def test_an_empty_conversation() -> None:
    assert "no engine" in exported(Record(), ".md").decode()
    assert json.loads(exported(Record(), ".json"))["left"] == {"shown": [], "turns": []}
