"""Files that strangers made are read only if they are regular and within a size."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from engines.regular_file import UnusableFile, read_regular, read_start
from engines.text_file import TextFileError, read_text_file


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """A named pipe without a writer: opening it blocks."""
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def refusal(file: Path, limit: int = 100) -> str:
    with pytest.raises(UnusableFile) as caught:
        read_regular(file, limit)
    return str(caught.value.strerror)


def test_a_regular_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "link", 10) == b"0123456789"
    assert read_start(tmp_path / "link", 4) == b"0123"
    assert refusal(tmp_path / "file", 9) == "it is larger than 9 bytes"


def test_what_is_no_regular_file_is_named(
    tmp_path: Path, pipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket has at most 107 bytes
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket")
    (tmp_path / "to-pipe").symlink_to(pipe)
    (tmp_path / "zero").symlink_to("/dev/zero")
    assert refusal(pipe) == refusal(tmp_path / "to-pipe") == "it is a named pipe"
    assert refusal(tmp_path / "zero") == "it is a device"
    assert refusal(tmp_path / "socket") == "it is a socket"
    assert refusal(tmp_path) == "it is a folder"


def test_a_file_without_an_end_is_read_no_further_than_the_limit() -> None:
    """Files in /proc have no size, and call themselves regular."""
    assert refusal(Path("/proc/self/environ"), 4) == "it is larger than 4 bytes"
    assert len(read_start(Path("/proc/self/environ"), 4)) == 4


@pytest.mark.skipif(not os.access("/proc/kmsg", os.R_OK), reason="only root may read it")
def test_a_read_that_would_wait_is_refused() -> None:
    with pytest.raises(UnusableFile, match="wait"):
        read_regular(Path("/proc/kmsg"), 1 << 30)
    with pytest.raises(TextFileError):
        read_text_file("/proc/kmsg", 1 << 20)
