"""What was not sent is there again."""

from __future__ import annotations

from pathlib import Path

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
