"""Files as attachments: read whole, or refused in words."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.state.conversation.attachment import (
    LARGEST,
    Attachment,
    AttachmentError,
    is_long,
    pasted,
    read_attachment,
    with_attachments,
)


def test_a_text_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthr\xc3\xa9e")
    found = read_attachment(str(file))
    assert found == Attachment("notes.txt", "one\ntwo\nthrée")
    assert found.title == "notes.txt, 3 lines"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfeh\0i\0", "not valid UTF-8"),
        (b"caf\xe9", "not valid UTF-8"),
        (b"\0\1\2", "binary"),
        (b"", "empty"),
        (b" \n", "empty"),
        (b"x" * (LARGEST + 1), "larger than 1 MiB"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(AttachmentError, match=words):
        read_attachment(str(file))


def test_what_is_no_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, words in (
        (tmp_path, "It is a folder"),
        (tmp_path / "none", "no such file"),
        (tmp_path / "pipe", "not a regular file"),
        ("/dev/zero", "not a regular file"),
        ("a\0b", "cannot be read"),
        ("x" * 5000, "cannot be read"),
    ):
        with pytest.raises(AttachmentError, match=words):
            read_attachment(str(path))
    (tmp_path / "secret").write_text("x")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # root may read everything
    with pytest.raises(AttachmentError, match="Permission denied"):
        read_attachment(str(tmp_path / "secret"))


def test_the_fence_is_longer_than_any_in_the_text() -> None:
    note = Attachment("a.md", "```python\nx\n```\n````\n")
    assert note.block == "a.md:\n`````\n```python\nx\n```\n````\n`````"
    assert with_attachments("Why?", (Attachment("b", "x"),)) == "b:\n```\nx\n```\n\nWhy?"
    assert with_attachments("Why?", ()) == "Why?"
    assert with_attachments("", (pasted("x"),)) == "Pasted text:\n```\nx\n```"


def test_a_long_paste() -> None:
    assert not is_long("x" * 1000)
    assert is_long("x" * 1001)
    assert not is_long("x\n" * 10)
    assert is_long("x\n" * 11)
    assert pasted("a\r\nb").title == "pasted, 2 lines"
    assert pasted("a").title == "pasted, 1 line"
