"""The user's calibration text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engines.errors import EngineError
from engines.plan.calibration import CHUNK_CHARACTERS, read_calibration

ENOUGH = "What people really ask. " * 100


def test_a_plain_file_is_one_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.txt").write_text(ENOUGH)
    found = read_calibration("~/mine.txt")
    assert found.texts == (ENOUGH,)
    assert found.characters == len(ENOUGH)


def test_each_json_line_is_a_text(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    rows = [{"text": ENOUGH, "id": 1}, {"text": "two\u2028lines"}, {"text": "\ud800"}]
    file.write_text("\n\n".join(map(json.dumps, rows)) + "\r\n")
    assert read_calibration(str(file)).texts == (ENOUGH, "two\u2028lines", "?")


def test_the_digest_depends_on_the_content_only(tmp_path: Path) -> None:
    first, copy = tmp_path / "first.txt", tmp_path / "copy.txt"
    first.write_text(ENOUGH)
    copy.write_text(ENOUGH)
    before = read_calibration(str(first)).digest
    assert read_calibration(str(copy)).digest == before
    first.write_text(ENOUGH.replace("really", "never "))
    assert read_calibration(str(first)).digest != before


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.txt", b"too short", f"9 characters; at least {CHUNK_CHARACTERS:,} are needed"),
        ("a.txt", b"", "It is empty"),
        ("a.bin", b"\0" * 9999, "binary"),
        ("a.txt", b"\xff\xfe" * 9999, "not valid UTF-8"),
        ("a.jsonl", b'{"text": "x"}\nnot json', "Line 2 is not a JSON object"),
        ("a.jsonl", b'{"prompt": "x"}', "Line 1 is not a JSON object with a `text`"),
        ("a.jsonl", b"[" * 100_000, "Line 1 is not a JSON object"),
        ("a.jsonl", b'{"text": 5}', "Line 1"),
    ],
)
def test_unusable_files_are_refused_with_a_reason(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(EngineError, match=f"text {name} cannot be used") as caught:
        read_calibration(str(tmp_path / name))
    assert reason in caught.value.hint


def test_folders_and_missing_files_are_refused(tmp_path: Path) -> None:
    for path, reason in ((tmp_path, "It is a folder"), (tmp_path / "none.txt", "There is no such file")):
        with pytest.raises(EngineError) as caught:
            read_calibration(str(path))
        assert reason in caught.value.hint
