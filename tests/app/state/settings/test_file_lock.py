"""Locks and leases: who waits, who is refused, and what happens where no lock can be made."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from app.state.settings.file_lock import FileInUseError, Lease, locked
from app.state.settings.paths import lock_folder
from tests.app.state.processes import running


def hold_lock(stay: Callable[[], None], path: Path) -> None:
    with locked(path):
        stay()


def hold_lease(stay: Callable[[], None], path: Path) -> None:
    with Lease(path):
        stay()


def test_a_lock_that_another_app_holds_is_waited_for_and_given_up(tmp_path: Path) -> None:
    path, other = tmp_path / "file", tmp_path / "other"
    with running(hold_lock, path):
        with pytest.raises(TimeoutError, match=r"another app has locked .*file"), locked(path, 0.02):
            pass
        with locked(other, 0):
            pass
    with locked(path, 0):
        pass


def test_a_lock_excludes_other_threads(tmp_path: Path) -> None:
    refused = threading.Event()

    def try_it() -> None:
        try:
            with locked(tmp_path / "file", 0):
                pass
        except TimeoutError:
            refused.set()

    with locked(tmp_path / "file"):
        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()
    assert refused.is_set()


def test_a_lease_excludes_other_apps_by_every_name_of_the_file(tmp_path: Path) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    path.touch()
    link.symlink_to(path)
    with running(hold_lease, path), pytest.raises(FileInUseError):
        Lease(link)
    first, second = Lease(path), Lease(link)  # within one app
    first.release()
    first.release()
    second.release()


def test_without_a_folder_for_locks_files_are_written_all_the_same(tmp_path: Path) -> None:
    lock_folder().parent.mkdir(parents=True)
    lock_folder().write_text("in the place of the folder")
    file = tmp_path / "file"
    with locked(file), Lease(file):
        file.write_text("written")
    assert file.read_text() == "written"
    assert lock_folder().is_file(), "what is in the place of the folder stays"
