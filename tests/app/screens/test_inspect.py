"""The engine inspector, opened from the store: its tabs, keys, empty states and failures."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static, Tab, Tabs

from app.screens.inspect import InspectScreen
from app.screens.store import StoreScreen
from app.widgets.inspect.row_table import RowTable, shortened
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.build.stored_engine import StoredEngine
from engines.errors import EngineError
from engines.inspect.inspection import Inspection
from tests.app.driving import until_finished, until_screen, wait_until
from tests.app.still import StillPlayground
from tests.engines.inspect.layers import write_layers

MANY = 15_000
Fill = Callable[[Path], object]


def add(store: EngineStore, fill: Fill, backend: str = "tensorrt") -> StoredEngine:
    """Store an engine with what `fill` writes into its folder."""
    spec = EngineSpec("/models/one", backend, "int8", "cuda:0", options={"target": "sm89"})
    inputs = {"version of tensorrt_rtx": "1.1"}
    with store.building(inputs) as folder:
        fill(folder)
        (folder / "model.plan").write_bytes(bytes(2048))
        return store.commit(folder, spec, inputs, {}, 1.0)


@asynccontextmanager
async def opened(
    tmp_path: Path, fill: Fill = write_layers, key: str = "i", backend: str = "tensorrt"
) -> AsyncIterator[tuple[StillPlayground, InspectScreen, Pilot[None]]]:
    """The inspector of an engine with these files, opened from the store, once they are read."""
    app = StillPlayground("playground-dark", chosen=True)
    app.store = EngineStore(tmp_path / "store")
    add(app.store, fill, backend)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await pilot.press("f8")
        await until_screen(pilot, StoreScreen)
        await until_finished(pilot, "list")
        await pilot.press(key)
        screen = await until_screen(pilot, InspectScreen)
        await until_finished(pilot, "read", "list")
        yield app, screen, pilot


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Press keys, and wait until the list is filled."""
    await pilot.press(*keys)
    await until_finished(pilot, "list")


def text(screen: InspectScreen, selector: str) -> str:
    """The text of a part of the screen."""
    return str(screen.query_one(selector, Static).content)


def names(screen: InspectScreen) -> list[str]:
    """The names that the table lists."""
    table = screen.query_one(RowTable)
    return [table.render_line(y).text.strip("❯› ").partition("  ")[0] for y in range(1, len(table.rows) + 1)]


@pytest.mark.parametrize("key", ["i", "enter"])
async def test_the_store_opens_the_summary(tmp_path: Path, key: str) -> None:
    async with opened(tmp_path, key=key) as (_, screen, _pilot):
        summary = text(screen, "#inspect-lines")
        for words in (
            "TensorRT int8",
            "sm89",
            "tensorrt_rtx 1.1",
            "2.00 KiB  model.plan",
            "5 layers",
            "46.2 µs",
        ):
            assert words in summary
        assert "1 × gemm, int8" in summary
        assert [str(tab.label) for tab in screen.query(Tab)] == [
            "Summary",
            "ONNX nodes",
            "Network layers 5",
            "Engine layers 6",
        ]


async def test_an_unreadable_engine_says_why_it_is_not_inspected(tmp_path: Path) -> None:
    app = StillPlayground("playground-dark", chosen=True)
    app.store = EngineStore(tmp_path)
    (add(app.store, write_layers).directory / "manifest.json").write_text('{"format": 3}')
    async with app.run_test(notifications=True) as pilot:
        await pilot.press("f8")
        await until_screen(pilot, StoreScreen)
        await until_finished(pilot, "list")
        await pilot.press("i")
        await wait_until(pilot, lambda: bool(app.notified))
        assert app.notified == ["It cannot be inspected: format 3, this release reads 1."]
        assert isinstance(app.screen, StoreScreen)


async def test_brackets_change_the_list_and_the_lines_below_describe_the_row(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, screen, pilot):
        await press(pilot, "right_square_bracket", "right_square_bracket")
        assert names(screen)[0] == "embedding"
        assert screen.focused is screen.query_one(RowTable)
        await press(pilot, "right_square_bracket")
        row = text(screen, "#inspect-row")
        assert "fused: layers.0/attention/query + layers.0/attention/key" in row
        assert "41.5 µs" in row
        await press(pilot, "down")
        assert "layers.0/mlp/sigmoid + layers.0/mlp/silu" in text(screen, "#inspect-row")
        await press(pilot, "right_square_bracket")
        assert screen.query_one(Tabs).active == "summary"
        assert not screen.query_one(RowTable).display
        await press(pilot, "left_square_bracket")
        assert screen.query_one(Tabs).active == "engine"


async def test_the_search_filters_and_escape_ends_it_first(tmp_path: Path) -> None:
    async with opened(tmp_path) as (app, screen, pilot):
        await press(pilot, "slash")  # from the summary: the first list that has rows
        assert screen.query_one(Tabs).active == "network"
        assert screen.focused is screen.query_one(Input)
        await press(pilot, *"mlp elem")
        assert names(screen) == ["layers.0/mlp/silu"]
        assert "1 of 5" in text(screen, "#inspect-note")
        await press(pilot, "backspace", *"xyz")
        assert names(screen) == []
        assert "0 of 5" in text(screen, "#inspect-note")
        assert text(screen, "#inspect-row") == ""
        await press(pilot, "down")
        assert screen.focused is screen.query_one(RowTable)
        await press(pilot, "escape")
        assert len(names(screen)) == 5
        await press(pilot, "escape")
        await until_screen(pilot, StoreScreen)
        assert app.screen.focused is not None


async def test_enter_in_the_search_goes_to_the_list(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, screen, pilot):
        await press(pilot, "slash", "m", "enter")
        assert screen.focused is screen.query_one(RowTable)
        assert "mask" in names(screen)


async def test_the_list_is_sorted_by_weights_and_by_time(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, screen, pilot):
        await press(pilot, "left_square_bracket")
        first = names(screen)
        await press(pilot, "s")
        assert "largest weights first" in text(screen, "#inspect-note")
        await press(pilot, "s")
        assert "slowest first" in text(screen, "#inspect-note")
        assert names(screen)[:3] == [first[0], "__myl_SigmMul_0", "Reformatting CopyNode"]
        await press(pilot, "s")
        assert names(screen) == first


async def test_every_list_is_exported_as_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second export writes a second file; a folder that cannot be written gives a message."""
    documents = tmp_path / "documents"
    monkeypatch.setattr("app.screens.inspect.document_folder", lambda: documents)
    async with opened(tmp_path) as (app, _, pilot):
        for count in (1, 2):
            await pilot.press("e")
            await wait_until(pilot, lambda count=count: len(app.notified) == count)  # type: ignore[misc]
        assert len(list(documents.glob("TensorRT int8 *.csv"))) == 2
        for file in documents.glob("*.csv"):
            rows = list(csv.DictReader(file.open(encoding="utf-8", newline="")))
            assert len(rows) == 11
            assert rows[5]["fused"] == "layers.0/attention/query;layers.0/attention/key"
        monkeypatch.setattr(
            "app.screens.inspect.document_folder", lambda: tmp_path / "store" / "engines.lock" / "x"
        )
        (tmp_path / "store" / "engines.lock").touch()
        await pilot.press("e")
        await wait_until(pilot, lambda: len(app.notified) == 3)
        assert app.notified[-1].startswith("It cannot be written")


def nothing(folder: Path) -> None:
    """Write no file that can be inspected."""


async def test_empty_lists_say_why_they_are(tmp_path: Path) -> None:
    async with opened(tmp_path, nothing, backend="openvino") as (app, screen, pilot):
        await press(pilot, "right_square_bracket")
        words = "This engine has no graph file (model.onnx): it was built by OpenVINO."
        assert text(screen, "#inspect-lines") == words
        await press(pilot, "right_square_bracket")
        assert "no list of layers (layers.json): it was built by OpenVINO" in text(screen, "#inspect-lines")
        await pilot.press("slash")
        await wait_until(pilot, lambda: bool(app.notified))
        assert app.notified == ["This engine has no nodes or layers to search."]


async def test_an_engine_that_no_gpu_has_run_says_so(tmp_path: Path) -> None:
    async with opened(tmp_path, lambda folder: write_layers(folder, ran=False)) as (_, screen, pilot):
        await press(pilot, "left_square_bracket")
        assert "are written when a GPU runs the engine" in text(screen, "#inspect-lines")


async def test_damaged_files_are_named(tmp_path: Path) -> None:
    """In the list, in the summary, and on the tab; a manifest that names other sizes too."""

    def damaged(folder: Path) -> None:
        write_layers(folder)
        (folder / "engine_layers.json").write_text("{")
        (folder / "layers.json").write_text("7")

    async with opened(tmp_path, damaged) as (_, screen, pilot):
        assert "layers.json has a form that this release does not know" in text(screen, "#inspect-lines")
        assert "Network layers !" in [str(tab.label) for tab in screen.query(Tab)]
        await press(pilot, "left_square_bracket")
        assert len(names(screen)) == 4  # what was measured
        assert "engine_layers.json is damaged: it is not JSON." in text(screen, "#inspect-note")
        assert screen.query_one("#inspect-note").has_class("-wrong")


async def test_an_engine_with_a_missing_file_is_inspected_all_the_same(tmp_path: Path) -> None:
    app = StillPlayground("playground-dark", chosen=True)
    entry = add(EngineStore(tmp_path), write_layers)
    (entry.directory / "model.plan").unlink()
    async with app.run_test() as pilot:
        screen = InspectScreen(entry)
        await app.push_screen(screen)
        await until_finished(pilot, "read", "list")
        assert text(screen, "#inspect-note") == "The engine is damaged: its file model.plan is missing."
        assert "5 layers" in text(screen, "#inspect-lines")


async def test_until_the_files_are_read_the_manifest_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys work meanwhile; a reader that fails leaves its reason."""
    fail = asyncio.Event()

    async def failing(_: Path) -> Inspection:
        await fail.wait()
        raise EngineError("inspect-failed", "The files of this engine cannot be read: it took too long.")

    monkeypatch.setattr("app.screens.inspect.inspect_folder", failing)
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(notifications=True) as pilot:
        screen = InspectScreen(add(EngineStore(tmp_path), write_layers))
        await app.push_screen(screen)
        await wait_until(pilot, lambda: "TensorRT int8" in text(screen, "#inspect-lines"))
        assert text(screen, "#inspect-note") == "Reading its files …"
        await press(pilot, "e", "slash", "right_square_bracket", "s", "left_square_bracket")
        assert len(app.notified) == 2
        fail.set()
        await until_finished(pilot, "read", "list")
        assert "took too long" in text(screen, "#inspect-note")
        assert screen.query_one("#inspect-note").has_class("-wrong")
        await pilot.press("escape")
        await wait_until(pilot, lambda: app.screen is not screen)


async def test_closing_ends_the_process_that_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Esc while it reads: the task is cancelled."""
    cancelled = list[bool]()

    async def slow(_: Path) -> Inspection:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(True)
        raise AssertionError

    monkeypatch.setattr("app.screens.inspect.inspect_folder", slow)
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test() as pilot:
        screen = InspectScreen(add(EngineStore(tmp_path), write_layers))
        await app.push_screen(screen)
        await wait_until(pilot, lambda: text(screen, "#inspect-note") != "")
        await pilot.press("escape")
        await wait_until(pilot, lambda: bool(cancelled))


def hostile(folder: Path) -> None:
    """Write layers whose names would change the terminal, or are markup."""
    layers = [{"name": "\x1b[31mred[bold]\x07\nline", "type": "[link=x]", "fused": ["[/]", "\ud800"]}]
    (folder / "layers.json").write_text(json.dumps({"layers": layers}))


async def test_names_are_shown_as_they_are(tmp_path: Path) -> None:
    async with opened(tmp_path, hostile) as (_, screen, pilot):
        await press(pilot, "slash", "r", "e", "d")
        assert names(screen) == ["�[31mred[bold]� line"]
        assert "[link=x]" in text(screen, "#inspect-row")
        assert "fused: [/] + ?" in text(screen, "#inspect-row")


def many(folder: Path) -> None:
    """Write thousands of layers."""
    (folder / "layers.json").write_text(json.dumps([f"layers.{place}/mlp/up" for place in range(MANY)]))


async def test_a_long_list_costs_as_much_as_a_short_one(tmp_path: Path) -> None:
    """Only the visible lines are drawn; the cursor and the search reach all of it."""
    async with opened(tmp_path, many) as (_, screen, pilot):
        table = screen.query_one(RowTable)
        await press(pilot, "left_square_bracket", "left_square_bracket", "end")
        assert text(screen, "#inspect-row").startswith(f"layers.{MANY - 1}/mlp/up")
        assert table.render_line(table.size.height - 1).text.startswith(f"❯layers.{MANY - 1}/")
        await press(pilot, "pageup")
        assert table.render_line(1).text.startswith("❯")
        await press(pilot, "home")
        assert table.scroll_offset.y == 0
        await press(pilot, "down", "down", "up", "pagedown", "up")
        assert table.cursor == table.size.height - 2
        assert await pilot.click(RowTable, offset=(4, 3))
        assert table.cursor == table.scroll_offset.y + 2
        await press(pilot, "slash", *f"layers.{MANY - 1}/")
        assert [row.name for row in table.rows] == [f"layers.{MANY - 1}/mlp/up"]


async def test_names_fit_into_the_width(tmp_path: Path) -> None:
    """Also after the terminal has changed its size."""
    long = "layers.0/attention/model.layers.0.self_attn.query_projection.weight.dequantize"
    async with opened(tmp_path, lambda folder: (folder / "layers.json").write_text(json.dumps([long]))) as (
        _,
        screen,
        pilot,
    ):
        await press(pilot, "left_square_bracket", "left_square_bracket")
        assert names(screen) == [shortened(long, 54)]
        await pilot.resize_terminal(80, 24)
        await wait_until(pilot, lambda: names(screen) == [shortened(long, 36)])
        await pilot.resize_terminal(200, 60)
        await wait_until(pilot, lambda: names(screen) == [long])
        assert long in text(screen, "#inspect-row")


def test_a_long_name_keeps_its_start_and_its_end() -> None:
    assert shortened("abcdefghij", 10) == "abcdefghij"
    assert shortened("abcdefghijk", 10) == "abc…fghijk"


async def test_a_built_onnx_engine_shows_its_nodes(tmp_path: Path, tiny: Path) -> None:
    """The real graph of a checkpoint, with weights in int4."""
    from engines.onnx.decoder_graph import GraphFormat, write_graph
    from engines.plan.checkpoint.tensors import tensor_entries
    from engines.plan.decoder.decoder import read_decoder
    from engines.weights.reader import WeightReader

    def graph(folder: Path) -> None:
        form = GraphFormat("fp32", "int4", int8_embedding=True)
        write_graph(read_decoder(tiny), WeightReader(tensor_entries(tiny)), folder, form)

    async with opened(tmp_path, graph, backend="onnxruntime") as (_, screen, pilot):
        assert "× MatMul, int4" in text(screen, "#inspect-lines")
        await press(pilot, "slash", *"matmul int8", "enter")
        assert names(screen) == ["head"]
        assert "MatMul   int8" in text(screen, "#inspect-row")
