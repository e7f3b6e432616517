"""F10: the engines of a checkpoint with their figures; every key, and a run with real engines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static

from app.playground import Playground
from app.screens.choose import ChooseScreen
from app.screens.quality import QualityScreen
from app.screens.texts import RecordedScreen, TextFileScreen
from app.state.comparison import quality_entry
from app.state.settings import paths
from app.state.settings.settings import EngineChoice, Server, Settings
from app.widgets.quality.job_line import SERVERS, JobLine
from app.widgets.quality.quality_table import QualityTable
from engines.build.server import server_spec
from engines.compare import choices
from engines.compare.comparison import Comparison, load_comparison, save_comparison
from engines.worker.process import EngineProcess
from tests.app.driving import playground, toasts, wait_until
from tests.app.measured import COMPARISON, keep
from tests.app.rendered import drawn_lines
from tests.app.still import StillPlayground, turn
from tests.doubles.fork_server import start_forked
from tests.engines.compare.sample import COMPARISON as SAMPLE

pytestmark = pytest.mark.usefixtures("two_backends")


@asynccontextmanager
async def opened(
    app: Playground, comparison: Comparison | None = COMPARISON, size: tuple[int, int] = (160, 48)
) -> AsyncIterator[Pilot[None]]:
    """The screen, once the engines are listed."""
    if comparison:
        await keep(app, comparison)
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.press("f10")
        await wait_until(pilot, lambda: isinstance(app.screen, QualityScreen))
        await wait_until(pilot, lambda: table(app).row_count > 0)
        yield pilot


def table(app: Playground) -> QualityTable:
    return app.screen.query_one(QualityTable)


def cells(app: Playground) -> dict[str, list[str]]:
    """The cells of each row, by the title of its engine."""
    listed = table(app)
    rows = [[str(cell) for cell in listed.get_row_at(row)] for row in range(listed.row_count)]
    return {row[0][2:].removesuffix(" reference"): row for row in rows}


def signs(app: Playground) -> dict[str, str]:
    return {title: row[0][0] for title, row in cells(app).items()}


def card(app: Playground) -> str:
    return str(app.screen.query_one("#quality-card-text", Static).content)


def line(app: Playground) -> str:
    return str(app.screen.query_one(JobLine).content)


async def go_to(pilot: Pilot[None], title: str) -> None:
    """Move the cursor to an engine."""
    assert isinstance(pilot.app, Playground)
    table(pilot.app).move_cursor(row=list(cells(pilot.app)).index(title))
    await pilot.pause()


def still() -> StillPlayground:
    return StillPlayground("playground-dark", chosen=True)


async def test_every_state_has_a_sign_and_the_card_explains_it() -> None:
    app = still()
    old = replace(COMPARISON.rows[2], inputs={"version of msgspec": "0.0.1"})
    async with opened(
        app, replace(COMPARISON, rows=(*COMPARISON.rows[:2], old, COMPARISON.rows[3]))
    ) as pilot:
        found = signs(app)
        assert [found[f"OpenVINO {name}"] for name in ("fp32", "bf16", "int8", "int4")] == [
            "○",
            "●",
            "●",
            "◌",
        ]
        assert (found["PyTorch bf16"], found["NVFP4"]) == ("✗", "✗")
        assert next(iter(found)) == "PyTorch fp32"
        for title, words in {
            "PyTorch fp32": "The reference",
            "OpenVINO fp32": "Not measured yet",
            "OpenVINO int8": "96.4 %",
            "OpenVINO int4": "Outdated: msgspec changed from 0.0.1 to",
            "PyTorch bf16": "Failed: There is not enough memory.",
            "NVFP4": "Unavailable on this machine.",
        }.items():
            await go_to(pilot, title)
            assert words in card(app)
        assert "3 of 7 engines measured" in line(app)


async def test_figures_below_the_noise_floor_and_speeds_of_a_busy_machine_are_marked() -> None:
    app = still()
    async with opened(app) as pilot:
        assert "0.00021°" in cells(app)["OpenVINO bf16"]
        assert "66.1 (62.8–69.4)*" in cells(app)["OpenVINO int4"]
        await go_to(pilot, "OpenVINO bf16")
        assert "not distinguishable" in card(app)
        await go_to(pilot, "OpenVINO int4")
        assert "OpenVINO int8: 50.0 MB more" in card(app)
        assert "while other programs used the processor" in card(app)


async def test_nothing_is_measured_yet() -> None:
    app = still()
    async with opened(app, None) as pilot:
        nothing = app.screen.query_one("#quality-nothing", Static)
        assert nothing.display
        assert "Press m to measure every engine" in str(nothing.content)
        await pilot.press("e", "c")
        await pilot.pause()
        assert "Nothing is measured yet" in toasts(app)
        assert "nothing to copy" in toasts(app)


async def test_s_sorts_by_the_next_figure() -> None:
    app = still()
    async with opened(app) as pilot:
        await go_to(pilot, "OpenVINO int4")
        await pilot.press("s")
        assert list(cells(app))[:3] == ["OpenVINO bf16", "OpenVINO int8", "OpenVINO int4"]
        assert "KLD mean" in str(table(app).border_title)
        assert app.screen.chosen.title == "OpenVINO int4"  # type: ignore[attr-defined]
        await pilot.press("s")
        assert list(cells(app))[:3] == ["OpenVINO int4", "OpenVINO int8", "OpenVINO bf16"]
        await pilot.press("s")
        assert next(iter(cells(app))) == "OpenVINO int4"


async def test_c_copies_the_card_and_e_writes_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "document_folder", lambda: tmp_path)
    app = still()
    async with opened(app) as pilot:
        await go_to(pilot, "OpenVINO int8")
        await pilot.press("c")
        assert app.clipboard.startswith("**OpenVINO int8**: demo with OpenVINO int8: 135.0 MB")
        for number in ("", "-2"):
            folder = tmp_path / f"demo-quality{number}"
            await pilot.press("e")
            await wait_until(pilot, lambda folder=folder: str(folder) in toasts(app))  # type: ignore[misc]
            assert load_comparison(folder / "comparison.json").rows == COMPARISON.rows


async def test_enter_l_and_r_load_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    app, chosen = still(), list[Any]()
    monkeypatch.setattr(app, "choose", lambda *arguments: chosen.append(arguments))
    async with opened(app) as pilot:
        await go_to(pilot, "OpenVINO int4")
        await pilot.press("enter", "l", "r")
        engine = EngineChoice("openvino", "int4")
        sides = [{"left": engine}, {"left": engine}, {"right": engine}]
        assert chosen == [("demo", app.settings.context, side) for side in sides]
        await go_to(pilot, "NVFP4")
        await pilot.press("enter")
        assert len(chosen) == 3


async def test_t_chooses_the_texts(tmp_path: Path) -> None:
    app = still()
    async with opened(app) as pilot:
        await choose_texts(pilot, 1)
        await wait_until(pilot, lambda: "no answer yet" in toasts(app))
        app.left.conversation.add(turn("left"))
        await choose_texts(pilot, 1)
        await wait_until(pilot, lambda: "the conversation" in str(app.screen.sub_title))
        assert set(signs(app).values()) == {"○", "✗"}
        (tmp_path / "own.txt").write_text("Own text.", "utf-8")
        await choose_texts(pilot, 2, TextFileScreen)
        app.screen.query_one(Input).value = str(tmp_path / "own.txt")
        await pilot.press("enter")
        await wait_until(pilot, lambda: "own.txt" in str(app.screen.sub_title))
        await choose_texts(pilot, 0)
        await wait_until(pilot, lambda: signs(app)["OpenVINO int8"] == "●")


async def test_o_opens_a_recorded_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without its engines: shown, copied and exported, but neither measured nor loaded."""
    save_comparison(replace(SAMPLE, checkpoint="[b]other"), tmp_path / "comparison.json")
    app, chosen = still(), list[Any]()
    monkeypatch.setattr(app, "choose", lambda *arguments: chosen.append(arguments))
    async with opened(app, None) as pilot:
        await pilot.press("o")
        await wait_until(pilot, lambda: isinstance(app.screen, RecordedScreen))
        field = app.screen.query_one(Input)
        field.value = "/no/such/file"
        await pilot.press("enter")
        note = app.screen.query_one("#file-note", Static)
        await wait_until(pilot, lambda: "cannot be read" in str(note.content))
        field.value = str(tmp_path / "comparison.json")
        await pilot.press("enter")
        await wait_until(
            pilot, lambda: isinstance(app.screen, QualityScreen) and "OpenVINO int6" in signs(app)
        )
        assert "recorded 2026-09-21: [b]other" in str(app.screen.sub_title)
        await go_to(pilot, "OpenVINO int4")
        await pilot.press("m", "enter", "c")
        assert app.clipboard.startswith("**OpenVINO int4**: [b]other with")
        assert (chosen, app.quality.is_running) == ([], False)
        assert "perhaps on another machine" in toasts(app)
        await pilot.press("escape")
        await wait_until(pilot, lambda: "OpenVINO int6" not in signs(app))
        assert isinstance(app.screen, QualityScreen)


async def choose_texts(pilot: Pilot[None], place: int, then: type = QualityScreen) -> None:
    """Press T and choose one of the kinds."""
    await pilot.press("t")
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, ChooseScreen))
    pilot.app.screen.query_one(OptionList).highlighted = place
    await pilot.press("enter")
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, then))


async def test_a_narrow_terminal_begins_with_the_essential_columns_and_has_no_plot() -> None:
    app = still()
    async with opened(app, size=(80, 24)) as pilot:
        titles = [str(column.label) for column in table(app).ordered_columns]
        assert titles[:4] == ["Engine", "KLD mean", "MB", "Same top"]
        assert "p99.9" in titles
        assert not app.screen.query_one("QualityPlot").display
        await pilot.resize_terminal(160, 48)
        await wait_until(pilot, lambda: app.screen.query_one("QualityPlot").display)
        assert [str(column.label) for column in table(app).ordered_columns][:2] == ["Engine", "MB"]
        assert "KLD by token" in card(app)


async def test_a_run_with_real_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured, cancelled, resumed while another screen is shown, and complete in the end."""
    few = choices.shipped_choices()[:4]
    monkeypatch.setattr(choices, "shipped_choices", lambda: few)
    kinds = ("fp32", "int8", "int4")
    monkeypatch.setattr(quality_entry, "offered_precisions", lambda *_: kinds)
    app = playground(Settings(context=256, chosen=True))
    monkeypatch.setattr(app, "open_engines", lambda _: None)
    async with opened(app, None, (120, 36)) as pilot:
        assert signs(app) == dict.fromkeys(
            ("PyTorch fp32", "OpenVINO fp32", "OpenVINO int8", "OpenVINO int4"), "○"
        )
        await pilot.press("m")
        await wait_until(pilot, lambda: signs(app)["OpenVINO fp32"] == "●")
        assert "◐" in line(app)
        await pilot.press("escape")
        await wait_until(pilot, lambda: "Cancelled" in line(app))
        assert signs(app)["PyTorch fp32"] == "●"
        assert signs(app)["OpenVINO int4"] == "○"
        await pilot.press("m", "f10")
        await wait_until(pilot, lambda: not isinstance(app.screen, QualityScreen))
        await wait_until(pilot, lambda: not app.quality.is_running)
        await pilot.press("f10")
        await wait_until(pilot, lambda: isinstance(app.screen, QualityScreen) and table(app).row_count == 4)
        assert set(signs(app).values()) == {"●"}
        assert "4 of 4 engines measured" in line(app)
        await pilot.press("m")
        await pilot.pause()
        assert "is measured" in toasts(app)


async def test_quitting_ends_the_measurement_and_its_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = ("fp32", "int8")
    monkeypatch.setattr(quality_entry, "offered_precisions", lambda *_: kinds)
    started = list[EngineProcess]()

    async def start(backend: str, log: Path) -> EngineProcess:
        started.append(await start_forked(backend, log))
        return started[-1]

    app = Playground(Settings(context=256, chosen=True), start_worker=start)
    monkeypatch.setattr(app, "open_engines", lambda _: None)
    async with opened(app, None, (120, 36)) as pilot:
        await pilot.press("m")
        await wait_until(pilot, lambda: bool(started))
        await pilot.press("ctrl+q")
        await wait_until(pilot, lambda: not app.is_running)
    assert all(process.ended.is_set() for process in started)


@pytest.mark.parametrize("where", ["side", "saved"])
async def test_servers_are_not_in_the_table_and_the_line_says_why(where: str) -> None:
    app = StillPlayground("playground-dark", chosen=True)
    if where == "saved":
        app.change_settings(servers={"desk": Server("127.0.0.1:9")})
    async with opened(app, size=(80, 24)) as pilot:
        assert (SERVERS in line(app)) is (where == "saved")
        if where == "side":
            app.left.spec = server_spec("127.0.0.1:9")
            await pilot.press("s")
        assert line(app).endswith(SERVERS)
        assert "engines measured." in line(app)
        await pilot.pause()
        place = app.screen.query_one(JobLine).region
        drawn = " ".join(one.text.strip() for one in drawn_lines(app)[place.y : place.bottom])
        assert SERVERS in drawn
