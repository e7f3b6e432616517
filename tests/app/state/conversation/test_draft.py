"""What was not sent is there again."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.state.conversation.attachment import Attachment
from app.state.conversation.draft import Draft, DraftFile


def test_a_draft_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "data" / "draft.json"
    file, draft = DraftFile(path), Draft("Why\nis it", (Attachment("a.txt", "text"),))
    assert file.read() == Draft()
    file.set_pending(Draft("Wh"))
    file.set_pending(draft)
    file.write()
    assert DraftFile(path).read() == draft
    file.set_pending(Draft())
    file.write()
    assert not path.exists()
    file.write()


def test_a_broken_draft_is_none(tmp_path: Path) -> None:
    path = tmp_path / "draft.json"
    for content in (b"", b"\xff", b'{"text": 3}'):
        path.write_bytes(content)
        assert DraftFile(path).read() == Draft()


def test_a_draft_that_could_not_be_written_is_written_later(tmp_path: Path) -> None:
    path = tmp_path / "data" / "draft.json"
    path.mkdir(parents=True)  # in the place of the file
    file = DraftFile(path)
    assert file.read() == Draft()
    file.set_pending(Draft("text"))
    with pytest.raises(OSError, match="Not a regular file"):
        file.write()
    path.rmdir()
    file.write()
    assert DraftFile(path).read() == Draft("text")
