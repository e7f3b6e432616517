"""The stage shows both answers, large figures and the headline, and hides the rest."""

from __future__ import annotations

from itertools import pairwise

import pytest
from textual.pilot import Pilot
from textual.widgets import Digits, Footer, Header, Static

from app.playground import Playground
from app.screens.chat import ChatScreen
from app.state.conversation.turn import Turn
from app.state.settings.settings import Settings
from app.state.side.phase import ANSWERING, Phase
from app.units import rate_text
from app.widgets.chat.composer import Composer
from app.widgets.chat.pane import Pane
from app.widgets.chat.prompt import PromptInput
from app.widgets.chat.speed_comparison import SpeedComparison
from app.widgets.chat.stage_figures import StageFigures, StageTitle
from app.widgets.panels.panel_strip import PanelStrip
from engines.worker.protocol import Sampling
from tests.app.driving import ask, playground, sampled, until_answered, until_chat, until_ready, wait_until
from tests.app.still import StillPlayground, chat_answered, chat_failed, set_phase

SIZES = ((80, 24), (120, 36), (200, 60))


def chat(app: Playground) -> ChatScreen:
    """Return the chat, which is shown."""
    assert isinstance(app.screen, ChatScreen)
    return app.screen


def number(app: Playground, side: str) -> str:
    """Return the large figure of a side; `-` for none."""
    return app.screen.query_one(f"#stage-{side} Digits", Digits).value


def words(app: Playground, side: str) -> str:
    """Return the words below the large figure of a side."""
    return str(app.screen.query_one(f"#stage-{side} Static", Static).content)


async def to_stage(pilot: Pilot[None]) -> None:
    """Go from the panels to the stage."""
    await pilot.press("ctrl+g")
    await pilot.press("ctrl+g")


@pytest.mark.parametrize("size", SIZES)
async def test_three_states(size: tuple[int, int]) -> None:
    """Ctrl+G: panels, no panels, stage, panels. Only the first two are a setting."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=size) as pilot:
        await chat_answered(pilot)
        screen = chat(app)
        chrome = [screen.query_one(kind) for kind in (Header, Footer, PanelStrip)]
        stage = [screen.query_one(kind) for kind in (StageTitle, StageFigures)]
        assert [one.region.height > 0 for one in (*chrome, *stage)] == [True, True, True, False, False]
        await pilot.press("ctrl+g")
        assert [one.region.height > 0 for one in (*chrome, *stage)] == [True, True, False, False, False]
        await pilot.press("ctrl+g")
        assert [one.region.height > 0 for one in (*chrome, *stage)] == [False, False, False, True, True]
        assert not app.settings.panels
        await pilot.press("ctrl+g")
        assert [one.region.height > 0 for one in (*chrome, *stage)] == [True, True, True, False, False]
        assert app.settings.panels


@pytest.mark.parametrize("size", SIZES)
async def test_everything_fits(size: tuple[int, int]) -> None:
    """Both panes are readable, the digits three or five rows high, the headline whole, the prompt one row."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=size) as pilot:
        await chat_answered(pilot)
        await to_stage(pilot)
        screen = chat(app)
        shown = screen.region
        rows = 5 if size == (200, 60) else 3
        assert all(one.region.height == rows for one in screen.query(Digits) if one.parent.display)
        assert all(one.size.height >= 8 for one in screen.query(Pane))
        assert screen.query_one(PromptInput).region.height == 1
        parts = [*screen.query(Pane), *screen.query("StageFigures Static"), *screen.query("Digits")]
        parts += [screen.query_one(kind) for kind in (StageTitle, SpeedComparison, Composer)]
        assert all(one.region in shown for one in parts if one.display)
        regions = [screen.query_one(kind).region for kind in (StageFigures, SpeedComparison, Composer)]
        assert all(not a.overlaps(b) for a, b in pairwise(regions))
        assert (number(app, "left"), number(app, "right")) == ("172", "45.2")
        assert number(app, "ratio") == "3.8x"
        assert "OpenVINO int8 is about 3.8× as fast" in str(screen.query_one(SpeedComparison).content)
        assert str(screen.query_one("#pane-left").border_title) == "Left · OpenVINO int8"
        assert "demo" in str(screen.query_one(StageTitle).content)


async def test_a_figure_that_should_not_be_quoted() -> None:
    """No large ratio; the reason in words on the side and in the headline."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await chat_answered(pilot)
        for side in app.sides:
            for turn in side.conversation.turns:
                turn.busy_percent = 40.0
        await to_stage(pilot)
        assert not app.screen.query_one("#stage-ratio").display
        assert "others used 40 %" in words(app, "left")
        headline = app.screen.query_one(SpeedComparison)
        assert "not to be quoted: other programs used 40 %" in str(headline.content)
        assert headline.region in app.screen.region
        muted = app.screen.query_one("#stage-left Digits").styles.color
        assert muted == app.screen.query_one("#stage-right Digits").styles.color


async def test_a_failed_side_has_no_number() -> None:
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await chat_failed(pilot)
        await to_stage(pilot)
        assert number(app, "left") == "-"
        assert words(app, "left") == "failed: F9 restarts it"
        assert app.screen.query_one("#pane-left FailureCard").region.height > 0


async def test_typing_and_escape() -> None:
    """What is typed is in the prompt; Esc ends the stage, keeps the text, and shows the panels as before."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await chat_answered(pilot)
        chat(app).query_one("#turns-left").focus()
        await to_stage(pilot)
        box = chat(app).query_one(PromptInput)
        placeholder = box.placeholder
        assert "Ctrl+G" in str(placeholder)
        await pilot.press(*"Hi", "ctrl+j", *"you")
        assert box.text == "Hi\nyou"
        assert box.region.height == 2
        await pilot.press("escape")
        assert not chat(app).on_stage
        assert box.text == "Hi\nyou"
        assert box.placeholder != placeholder
        assert not chat(app).query_one(PanelStrip).display


async def test_escape_stops_an_answer_first() -> None:
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await chat_answered(pilot)
        await to_stage(pilot)
        set_phase(app.left, Phase.DECODE)
        await pilot.press("escape")
        assert chat(app).on_stage
        set_phase(app.left, Phase.READY)
        await pilot.press("escape")
        assert not chat(app).on_stage


async def test_escape_leaves_an_edit_first() -> None:
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await chat_answered(pilot)
        await to_stage(pilot)
        await chat(app).action_edit_last()
        await pilot.press("escape")
        assert chat(app).on_stage
        assert chat(app).composer.edited is None


async def test_changed_panels_setting_keeps_the_stage() -> None:
    """The setting takes effect once the stage has ended."""
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await chat_answered(pilot)
        await to_stage(pilot)
        app.change_settings(panels=True)
        await pilot.pause()
        assert not chat(app).query_one(PanelStrip).display
        await pilot.press("escape")
        assert chat(app).query_one(PanelStrip).display


async def test_real_engines_on_the_stage(settings: Settings) -> None:
    """A queued side is named as such; afterwards the figures are those of the answers."""
    app = playground(sampled(settings, Sampling(max_tokens=200, ignore_eos=True)))
    seen: set[str] = set()
    async with app.run_test(size=(120, 36)) as pilot:
        await until_chat(pilot)
        await until_ready(pilot)
        await to_stage(pilot)
        assert words(app, "left") == "ready"
        app.side_changed.subscribe(app.screen, lambda _: seen.add(words(app, "right")))
        await ask(pilot, "Hello")
        await until_answered(pilot)
        last: Turn = app.left.conversation.turns[-1]
        assert last.timing
        await wait_until(pilot, lambda: "first token" in words(app, "left"))
        assert number(app, "left") == rate_text(last.timing.decode_rate, "").strip()
        assert app.left.phase not in ANSWERING
        assert "queued behind the other side" in seen
