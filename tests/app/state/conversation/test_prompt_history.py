"""Earlier prompts: walked through, kept across runs, and forgiving of a broken file."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.state.conversation.prompt_history import KEPT, PromptFile, PromptHistory, keep_prompt, read_prompts


def test_the_walk_ends_where_it_began() -> None:
    history = PromptHistory()
    assert history.walk(-1, "unsent") is None
    for prompt in ("one", "two", "two"):
        history.add(prompt)
    assert [history.walk(-1, "unsent"), history.walk(-1, "x"), history.walk(-1, "x")] == ["two", "one", None]
    assert [history.walk(1, "x"), history.walk(1, "x"), history.walk(1, "x")] == ["two", "unsent", None]


def test_prompts_of_earlier_runs_come_first() -> None:
    history = PromptHistory()
    history.add("now")
    history.load(["before"])
    assert [history.walk(-1, ""), history.walk(-1, ""), history.walk(-1, "")] == ["now", "before", None]


def test_the_file_is_bounded_and_forgiving(tmp_path: Path) -> None:
    file = tmp_path / "data" / "prompts.jsonl"
    assert read_prompts(file) == []
    keep_prompt(file, "one\ntwo")
    keep_prompt(file, "one\ntwo")
    keep_prompt(file, "")
    assert read_prompts(file) == ["one\ntwo"]
    with file.open("ab") as stream:
        stream.write(b'\xff\n{"prompt": 3}\n{"prompt": "three"}\n{"prom')
    assert read_prompts(file) == ["one\ntwo", "three"]
    file.write_bytes(b"".join(b'{"prompt":"%d"}\n' % number for number in range(KEPT + 20)))
    keep_prompt(file, "last")
    kept = read_prompts(file)
    assert (len(kept), kept[0], kept[-1]) == (KEPT, "21", "last")
    assert [path.name for path in file.parent.iterdir()] == ["prompts.jsonl"]


def test_prompts_that_could_not_be_written_are_written_with_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "data" / "prompts.jsonl"
    path.mkdir(parents=True)  # in the place of the file
    file = PromptFile(path)
    for prompt in ("one", "two"):
        file.add(prompt)
        with pytest.raises(OSError, match="Is a directory"):
            file.write()
    path.rmdir()
    file.add("three")
    file.write()
    assert read_prompts(path) == ["one", "two", "three"]
    file.write()
    assert read_prompts(path) == ["one", "two", "three"]
