"""Snapshots of the engine inspector, by size and theme; see `test_snapshots.py`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from app.screens.inspect import InspectScreen
from engines.build.store import EngineStore
from tests.app import still
from tests.app.driving import until_finished
from tests.app.screens.test_inspect import Fill, add, nothing
from tests.app.still import StillPlayground
from tests.engines.inspect.layers import write_layers

SnapCompare = Callable[..., bool]
DARK, LIGHT = "playground-dark", "playground-light"
SMALL, MIDDLE, WHOLE = (80, 24), (120, 36), (200, 60)
SIZES = [(SMALL, DARK), (SMALL, LIGHT), (MIDDLE, LIGHT), (WHOLE, DARK)]


def opened(
    folder: Path, keys: tuple[str, ...], fill: Fill = write_layers, backend: str = "tensorrt"
) -> still.Before:
    """Return a function that opens the inspector and presses keys."""

    async def before(pilot: Pilot[None]) -> None:
        await still.chat_empty(pilot)
        await pilot.app.push_screen(InspectScreen(add(EngineStore(folder), fill, backend)))
        await until_finished(pilot, "read")
        await pilot.press(*keys)
        await still.settle(pilot)

    return before


def compare(snap_compare: Any, size: tuple[int, int], theme: str, before: still.Before) -> None:
    assert snap_compare(StillPlayground(theme, chosen=True), terminal_size=size, run_before=before)


@pytest.mark.parametrize(("size", "theme"), SIZES)
def test_summary(snap_compare: SnapCompare, tmp_path: Path, size: tuple[int, int], theme: str) -> None:
    """Versions, target, files, and what the lists hold."""
    compare(snap_compare, size, theme, opened(tmp_path, ()))


@pytest.mark.parametrize(("size", "theme"), SIZES)
def test_engine_layers(snap_compare: SnapCompare, tmp_path: Path, size: tuple[int, int], theme: str) -> None:
    """What was fused into the layer under the cursor, and times."""
    compare(snap_compare, size, theme, opened(tmp_path, ("left_square_bracket", "down")))


@pytest.mark.parametrize(("size", "theme"), [(SMALL, DARK), (MIDDLE, LIGHT)])
def test_search(snap_compare: SnapCompare, tmp_path: Path, size: tuple[int, int], theme: str) -> None:
    """The focus is in the search."""
    compare(snap_compare, size, theme, opened(tmp_path, ("slash", *"mlp")))


@pytest.mark.parametrize(("size", "theme"), [(SMALL, LIGHT), (MIDDLE, DARK)])
def test_no_graph(snap_compare: SnapCompare, tmp_path: Path, size: tuple[int, int], theme: str) -> None:
    """An engine without files that can be inspected."""
    compare(snap_compare, size, theme, opened(tmp_path, ("right_square_bracket",), nothing, "openvino"))


def test_damaged(snap_compare: SnapCompare, tmp_path: Path) -> None:
    """A file that is no JSON."""

    def damaged(folder: Path) -> None:
        write_layers(folder)
        (folder / "layers.json").write_text("{")

    compare(
        snap_compare, MIDDLE, DARK, opened(tmp_path, ("left_square_bracket", "left_square_bracket"), damaged)
    )
