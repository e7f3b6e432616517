"""F5: engines compared token by token on the reference's answer, with real engines."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static

from app.playground import Playground
from app.screens.chat import ChatScreen
from app.screens.choose import ChooseScreen
from app.screens.compare import NO_REFERENCE, CompareScreen
from app.screens.file import FileScreen
from app.screens.texts import PromptFileScreen
from app.state.comparison.candidates import NO_ENGINE, ONLY_SERVERS
from app.state.conversation.conversation_file import read_record
from app.state.settings.settings import EngineChoice, Settings
from app.widgets.chat.pane import Pane
from app.widgets.compare.answer_heat import AnswerHeat
from app.widgets.compare.comparison_view import NO_ANSWER
from app.widgets.compare.engine_table import EngineTable
from app.widgets.compare.inspector import Inspector
from app.widgets.compare.own_answers import TextColumn
from engines.build.server import server_spec
from engines.build.spec import EngineSpec
from engines.demo import CHECKPOINT
from engines.plan.checkpoint.checkpoint import read_checkpoint
from tests.app.conftest import PYTORCH
from tests.app.driving import ask, playground, toasts, until_ready, wait_until
from tests.app.rendered import drawn_lines
from tests.app.still import StillPlayground


@pytest.fixture(autouse=True)
def short_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights never end an answer."""
    monkeypatch.setattr("engines.compare.answer_run.TOKENS", 24)
    monkeypatch.setattr("engines.compare.speed.TOKENS", 8)


@asynccontextmanager
async def compared(settings: Settings) -> AsyncIterator[tuple[Playground, Pilot[None], CompareScreen]]:
    """One prompt answered by both sides, and the comparison of its answers, finished."""
    app = playground(replace(settings, left=EngineChoice("openvino", "int4"), right=PYTORCH))
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await until_ready(pilot)
        await ask(pilot, "Hello")
        await pilot.press("f5")
        await wait_until(pilot, lambda: isinstance(app.screen, CompareScreen))
        screen = app.screen
        assert isinstance(screen, CompareScreen)
        await until_compared(pilot, screen, 1)
        yield app, pilot, screen


async def until_compared(pilot: Pilot[None], screen: CompareScreen, engines: int) -> None:
    """Wait until this number of engines has been compared, and nothing more is done."""

    def done() -> bool:
        answer = screen.comparison.answer
        return answer is not None and len(answer.engines) == engines and not screen.comparison.step

    await wait_until(pilot, done)


def cells(screen: CompareScreen) -> list[list[str]]:
    table = screen.query_one(EngineTable)
    return [[str(cell) for cell in table.get_row_at(row)] for row in range(table.row_count)]


def note(screen: CompareScreen) -> str:
    return str(screen.query_one("#compare-note", Static).content)


async def test_from_the_chat_to_a_branch_and_a_report(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table, the cursor, the inspector, the engines' own answers, a branch that is kept, the report."""
    monkeypatch.setenv("XDG_DOCUMENTS_DIR", str(tmp_path / "Documents"))
    async with compared(settings) as (app, pilot, screen):
        reference, engine = cells(screen)
        assert reference[:3] == ["R", "PyTorch fp32", "reference"]
        assert engine[1] == "OpenVINO int4"
        assert engine[2].endswith("%")
        assert "OpenVINO int4 leaves at token" in note(screen)
        heat, answer = screen.query_one(AnswerHeat), screen.comparison.answer
        assert answer
        turn = app.right.conversation.turns[0]
        assert answer.answer.token_ids == turn.token_ids  # what the chat shows, not another answer
        assert heat.cursor == screen.comparison.first_split(0)
        await pilot.press("v")
        assert "how sure OpenVINO int4 is" in str(heat.border_title)
        await pilot.press("v", "home", "right")
        assert heat.cursor == 1
        assert "Token 2 of" in str(screen.query_one(Inspector).border_title)
        await pilot.press("n")
        assert heat.cursor > 1
        await pilot.press("home", "N")
        assert "No other top token in this direction." in toasts(app)
        await pilot.press("end", "b")
        await wait_until(pilot, lambda: isinstance(app.screen, ChooseScreen))
        await pilot.press("down", "enter")
        await wait_until(pilot, lambda: len(app.right.conversation.all_turns) == 2)
        await wait_until(pilot, lambda: "Kept as a version" in toasts(app))
        kept = app.right.conversation.turns[0]
        assert kept.engine == "OpenVINO int4"
        assert kept.token_ids[:-1][: len(turn.token_ids) - 1] == turn.token_ids[:-1]
        assert app.history.path
        assert len(read_record(app.history.path).sides["right"].all_turns) == 2
        await wait_until(pilot, lambda: len(screen.query(TextColumn)) == 3)
        assert screen.has_class("-own")
        await pilot.press("e")
        await wait_until(pilot, lambda: "Report in" in toasts(app))
        [folder] = (tmp_path / "Documents").iterdir()
        assert folder.name.endswith("-comparison")
        saved = json.loads((folder / "comparison.json").read_text())
        assert saved["answers"][0]["branches"][0]["engine"] == "OpenVINO int4"
        assert "OpenVINO int4" in (folder / "comparison.html").read_text()
        await open_file(pilot, "o", folder)
        await wait_until(pilot, lambda: "recorded" in str(screen.sub_title))
        assert [row[1] for row in cells(screen)] == ["PyTorch fp32", "OpenVINO int4"]
        await pilot.press("b")
        assert "A recorded comparison cannot be changed" in toasts(app)
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))
        right = app.screen.query_one("#pane-right", Pane)
        assert [shown.turn for shown in right.transcript.turns] == [kept]


async def choose(pilot: Pilot[None], key: str, entry: int) -> None:
    """Press a key that opens a list, and choose an entry."""
    await pilot.press(key)
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, ChooseScreen))
    await pilot.press(*["down"] * entry, "enter")


async def open_file(pilot: Pilot[None], key: str, path: Path) -> None:
    """Press a key that asks for a file, if given, and enter its path."""
    if key:
        await pilot.press(key)
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, FileScreen))
    pilot.app.screen.query_one(Input).value = str(path)
    await pilot.press("enter")
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen))


async def test_more_engines_another_reference_and_other_prompts(settings: Settings, tmp_path: Path) -> None:
    async with compared(settings) as (app, pilot, screen):
        await pilot.press("a")
        await wait_until(pilot, lambda: isinstance(app.screen, ChooseScreen))
        listed = app.screen.query_one(OptionList)
        assert "PyTorch bf16" in str(listed.get_option_at_index(0).prompt)
        await pilot.press("enter")
        await until_compared(pilot, screen, 2)
        assert [row[1] for row in cells(screen)] == ["PyTorch fp32", "OpenVINO int4", "PyTorch bf16"]
        assert screen.view.chosen == 1
        await pilot.press("equals_sign")
        await until_compared(pilot, screen, 2)
        assert [row[1] for row in cells(screen)] == ["PyTorch bf16", "OpenVINO int4", "PyTorch fp32"]
        await pilot.press("delete", "up")
        await until_compared(pilot, screen, 1)
        assert [row[1] for row in cells(screen)] == ["PyTorch bf16", "OpenVINO int4"]
        await choose(pilot, "p", 1)
        await until_compared(pilot, screen, 1)
        assert "1 of 5" in str(screen.query_one("#compare-prompt", Static).content)
        await pilot.press("right_square_bracket")
        await until_compared(pilot, screen, 1)
        assert "2 of 5" in str(screen.query_one("#compare-prompt", Static).content)
        (tmp_path / "prompts.txt").write_text("One prompt\nof two lines\n\n  \nAnother")
        await choose(pilot, "p", 2)
        await wait_until(pilot, lambda: isinstance(app.screen, PromptFileScreen))
        await open_file(pilot, "", tmp_path / "prompts.txt")
        await until_compared(pilot, screen, 1)
        shown = str(screen.query_one("#compare-prompt", Static).content)
        assert "1 of 2" in shown
        assert "One prompt of two lines" in shown
        await choose(pilot, "p", 0)
        await until_compared(pilot, screen, 1)
        assert "1 of 1" in str(screen.query_one("#compare-prompt", Static).content)


async def test_stop_and_again(settings: Settings) -> None:
    """Esc ends what is being computed, and R starts it again."""
    async with compared(settings) as (_, pilot, screen):
        await pilot.press("r", "escape")
        await wait_until(pilot, lambda: not screen.comparison.step)
        assert isinstance(pilot.app.screen, CompareScreen)
        await pilot.press("r")
        await until_compared(pilot, screen, 1)


async def test_without_engines_and_without_answers(settings: Settings) -> None:
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f5")
        await wait_until(pilot, lambda: isinstance(app.screen, CompareScreen))
        assert isinstance(app.screen, CompareScreen)
        assert note(app.screen) == NO_ENGINE
        await pilot.press(
            "a", "b", "n", "f", "f", "e", "r", "p", "delete", "equals_sign", "down", "right", "home"
        )
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))
    real = playground(settings)
    async with real.run_test(size=(80, 24)) as pilot:
        await until_ready(pilot)
        await pilot.press("f5")
        await wait_until(pilot, lambda: isinstance(real.screen, CompareScreen))
        assert isinstance(real.screen, CompareScreen)
        assert note(real.screen) == NO_ANSWER


async def test_a_gguf_file_beside_the_checkpoint_it_was_made_from(settings: Settings, tmp_path: Path) -> None:
    """The side keeps its own file, and is compared with the engine of the other checkpoint."""
    pytest.importorskip("xllamacpp")
    pytest.importorskip("gguf")
    from tests.engines.gguf.demo_gguf import write_demo_gguf

    file = write_demo_gguf(tmp_path / "Demo.Q8_0.gguf", "q8_0")
    left = EngineChoice("llama-cpp", "q8_0", checkpoint=str(file))
    app = playground(replace(settings, checkpoint="demo", left=left, right=PYTORCH))
    async with app.run_test(size=(160, 48)) as pilot:
        await until_ready(pilot)
        assert [side.checkpoint_name for side in app.sides] == ["Demo.Q8_0", "demo"]
        await ask(pilot, "Hello")
        screen = await open_comparison(pilot)
        await until_compared(pilot, screen, 1)
        answer = screen.comparison.answer
        assert answer
        assert answer.engines[0].row.error == ""
        assert answer.engines[0].scores
        app.choose("demo", settings.context, {"right": PYTORCH})
        assert (app.settings.checkpoint, app.settings.left) == ("demo", left)


async def test_servers_need_an_engine_of_this_machine() -> None:
    """Servers alone cannot be compared, and none becomes the reference; what to do is said in full."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        app.left.spec = server_spec("127.0.0.1:9")
        app.right.spec = server_spec("127.0.0.1:8")
        screen = await open_comparison(pilot)
        assert note(screen) == ONLY_SERVERS
        assert ONLY_SERVERS in drawn(screen)
        await pilot.press("a")
        assert app.notified[-1] == ONLY_SERVERS
        await pilot.press("escape")
        await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))

        app.right.spec = EngineSpec(str(CHECKPOINT), "pytorch", "fp32")
        app.right.checkpoint = read_checkpoint(CHECKPOINT)
        screen = await open_comparison(pilot)
        assert note(screen) == NO_ANSWER
        await pilot.press("equals_sign")
        assert app.notified[-1] == NO_REFERENCE
        assert screen.comparison.reference == app.right.spec


async def open_comparison(pilot: Pilot[None]) -> CompareScreen:
    await pilot.press("f5")
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen))
    assert isinstance(pilot.app.screen, CompareScreen)
    await wait_until(pilot, lambda: bool(note(pilot.app.screen)))  # type: ignore[arg-type]
    return pilot.app.screen


def drawn(screen: CompareScreen) -> str:
    """Return what the note's place on the screen shows, with single spaces."""
    place = screen.query_one("#compare-note", Static).region
    lines = [line.text for line in drawn_lines(screen.app)][place.y : place.bottom]
    return " ".join(" ".join(lines).split())
