"""Files are replaced in one step, and stay what they were: a link, with a mode."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.state.conversation.export import write_export
from app.state.conversation.record import Record
from app.state.settings.atomic_file import PUBLIC, append_durably, write_atomic
from app.state.settings.settings import Settings, SettingsFile, load_settings


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """One under which group and others may read."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_symlink_stays_one(tmp_path: Path) -> None:
    """Settings in a folder of dotfiles."""
    target = tmp_path / "dotfiles" / "settings.toml"
    link = tmp_path / "config" / "settings.toml"
    link.parent.mkdir()
    link.symlink_to(Path("..") / "dotfiles" / "settings.toml")
    for theme in ("nord", "gruvbox"):  # the first one creates the target
        file = SettingsFile(link)
        file.set_pending(Settings(theme=theme))
        file.write()
        assert link.is_symlink()
        assert load_settings(target).theme == theme
    for folder in (link.parent, target.parent):
        assert [path.name for path in folder.iterdir()] == ["settings.toml"]


@pytest.mark.parametrize("before", [0o600, 0o640, 0o644, 0o666])
def test_the_mode_of_a_file_is_kept(tmp_path: Path, before: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(before)
    write_atomic(path, b"new")
    assert (mode(path), path.read_bytes()) == (before, b"new")


def test_new_settings_are_private_and_new_exports_follow_the_umask(tmp_path: Path) -> None:
    file = SettingsFile(tmp_path / "settings.toml")
    file.set_pending(Settings(theme="nord"))
    file.write()
    assert mode(tmp_path / "settings.toml") == 0o600
    assert mode(write_export(Record(), tmp_path / "talk.md")) == 0o644
    os.umask(0o027)
    assert mode(write_export(Record(), tmp_path / "other.md")) == 0o640


def test_a_write_that_fails_leaves_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "folder" / "full").mkdir(parents=True)
    with pytest.raises(OSError, match="Not a regular file"):
        write_atomic(tmp_path / "folder", b"data")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="Not a regular file"):  # not: wait for a reader
        write_atomic(tmp_path / "pipe", b"data")
    with pytest.raises(TypeError):
        write_atomic(tmp_path / "file", "not bytes")  # type: ignore[arg-type]
    assert {path.name for path in tmp_path.iterdir()} == {"folder", "pipe"}


def test_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    write_atomic(Path(os.devnull), b"data")
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_a_name_as_long_as_a_file_system_allows(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    write_atomic(path, b"data", PUBLIC)
    assert path.read_bytes() == b"data"


def test_appending_ends_a_torn_line_first(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    append_durably(path, b"one\n")
    assert (mode(path), path.read_bytes()) == (0o600, b"one\n")
    path.write_bytes(b"one\ntor")
    append_durably(path, b"two\n")
    assert path.read_bytes() == b"one\ntor\ntwo\n"
