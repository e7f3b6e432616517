"""F8: every entry of the store is listed with its size, and deleted when Delete is pressed twice."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Static

from app.playground import Playground
from app.screens.store import StoreScreen
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.build.stored_engine import StoredEngine
from engines.demo import CHECKPOINT
from tests.app.driving import toasts, wait_until
from tests.app.still import StillPlayground


def add(store: EngineStore, n: int, checkpoint: str = "/models/one") -> StoredEngine:
    """An engine of 2 KiB."""
    inputs, spec = {"n": str(n)}, EngineSpec(checkpoint, "openvino", "int8")
    with store.building(inputs) as folder:
        (folder / "weights.bin").write_bytes(bytes(2048))
        return store.commit(folder, spec, inputs, {}, 1.0)


@asynccontextmanager
async def opened(store: EngineStore, rows: int) -> AsyncIterator[tuple[StillPlayground, Pilot[None]]]:
    """The store's screen, once as many rows are listed."""
    app = StillPlayground("playground-dark", chosen=True)
    app.store = store
    async with app.run_test(size=(120, 30), notifications=True) as pilot:
        await pilot.press("f8")
        await wait_until(pilot, lambda: isinstance(app.screen, StoreScreen))
        await wait_until(pilot, lambda: len(listed(app)) == rows)
        yield app, pilot


def listed(app: Playground) -> list[list[str]]:
    """The cells of each row."""
    table = app.screen.query_one(DataTable)
    return [[str(cell) for cell in table.get_row_at(row)] for row in range(table.row_count)]


async def test_every_entry_is_listed_with_size_and_reason_and_can_be_deleted(tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    old, cut, demo = add(store, 1), add(store, 2), add(store, 3, str(CHECKPOINT))
    (old.directory / "manifest.json").write_text('{"format": 3}')
    (cut.directory / "weights.bin").unlink()
    leftover = tmp_path / "building" / ("d" * 20 + "-abc")
    leftover.mkdir()
    async with opened(store, 4) as (app, pilot):
        first, second, third, fourth = listed(app)
        assert (first[0], first[1], first[2], first[-1]) == ("OpenVINO int8", "demo", "2.00 KiB", "OK")
        assert second[-1] == "damaged: its file weights.bin is missing"
        assert third == [old.fingerprint, "", "2.01 KiB", "", "", "format 3, this release reads 1"]
        assert fourth[-1] == "unfinished build"
        note = str(app.screen.query_one("#store-note", Static).content)
        assert "2 engines" in note
        assert "2 unreadable" in note
        for left in (3, 2, 1, 0):
            await pilot.press("end", "delete", "delete")
            await wait_until(pilot, lambda left=left: len(listed(app)) == left)  # type: ignore[misc]
        assert not demo.directory.exists()
        assert not leftover.exists()
        assert "No engine has been built yet" in str(app.screen.query_one("#store-note", Static).content)


async def test_delete_has_to_be_pressed_again_after_the_cursor_moved(tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    entries = [add(store, n) for n in range(2)]
    async with opened(store, 2) as (app, pilot):
        app.NOTIFICATION_TIMEOUT = 60.0  # type: ignore[misc]
        await pilot.press("delete", "down", "up", "delete")
        await wait_until(pilot, lambda: len(app.notified) == 2)
        assert set(app.notified) == {"Press again to delete OpenVINO int8, 2.00 KiB."}
        assert all(entry.directory.exists() for entry in entries)
        await pilot.press("delete")
        await wait_until(pilot, lambda: len(listed(app)) == 1)
        assert store.engines() == [entries[0]]


async def test_delete_has_to_be_pressed_again_after_the_toast_is_gone(tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    entry = add(store, 1)
    async with opened(store, 1) as (app, pilot):
        app.NOTIFICATION_TIMEOUT = 0.2  # type: ignore[misc]
        await pilot.press("delete")
        await wait_until(pilot, lambda: len(app.notified) == 1)
        await wait_until(pilot, lambda: not toasts(app))
        app.NOTIFICATION_TIMEOUT = 60.0  # type: ignore[misc]
        await pilot.press("delete")
        await wait_until(pilot, lambda: len(app.notified) == 2)
        assert entry.directory.exists()
        await pilot.press("delete")
        await wait_until(pilot, lambda: not entry.directory.exists())


async def test_the_disk_is_only_used_in_other_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Manifests, sizes, the check of every file, and deleting."""
    store, threads = EngineStore(tmp_path), dict[str, int]()
    entry = add(store, 1)

    def recorded(name: str, function: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            threads[name] = threading.get_ident()
            return function(*arguments)

        return call

    for name in ("engines", "unreadable", "remove"):
        monkeypatch.setattr(store, name, recorded(name, getattr(store, name)))
    monkeypatch.setattr("app.screens.store.damage", recorded("damage", lambda _: ""))
    async with opened(store, 1) as (_, pilot):
        await pilot.press("delete", "delete")
        await wait_until(pilot, lambda: not entry.directory.exists())
    assert set(threads) == {"engines", "unreadable", "remove", "damage"}
    assert threading.get_ident() not in threads.values()
