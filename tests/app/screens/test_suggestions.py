"""Prompts that an empty chat suggests."""

from __future__ import annotations

from textual.pilot import Pilot

from app.state.conversation.suggested_prompts import suggested_prompts
from app.state.side.phase import Phase
from app.widgets.chat.composer import Composer
from app.widgets.chat.suggestions import Suggestions
from engines.build.spec import EngineSpec
from engines.demo import CHECKPOINT
from tests.app.driving import until_finished, wait_until
from tests.app.still import StillPlayground, chat_empty, settle, turn

DEMO = suggested_prompts("demo")


async def demo_chat(pilot: Pilot[None], checkpoint: str = str(CHECKPOINT)) -> Composer:
    """Show an empty chat with ready engines of a checkpoint, and return its composer."""
    await chat_empty(pilot)
    app = pilot.app
    assert isinstance(app, StillPlayground)
    for side in app.sides:
        side.spec = EngineSpec(checkpoint, "openvino", "int8")
        app.side_changed.publish(side)
    await until_finished(pilot, "prompt")
    await pilot.pause()
    return app.screen.query_one(Composer)


def listed(pilot: Pilot[None]) -> list[str]:
    shown = pilot.app.screen.query_one(Suggestions)
    return str(shown.content).splitlines() if shown.display else []


def still() -> StillPlayground:
    return StillPlayground("playground-dark", chosen=True)


async def test_they_suit_the_model_and_are_gone_once_something_was_asked() -> None:
    app = still()
    async with app.run_test(size=(80, 24)) as pilot:
        composer = await demo_chat(pilot)
        assert [line.strip() for line in listed(pilot)[1:]] == list(DEMO)
        await demo_chat(pilot, "/models/SmolLM2-135M-Instruct")
        assert [line.strip() for line in listed(pilot)[1:]] == list(suggested_prompts("SmolLM2"))
        await pilot.press("a")
        assert not listed(pilot)
        await pilot.press("backspace")
        assert listed(pilot)
        app.left.conversation.add(turn("left"))
        composer.recount()
        await settle(pilot)
        assert not listed(pilot)
        await pilot.press("down")
        assert not composer.box.text


async def test_down_walks_through_them_and_only_enter_sends() -> None:
    async with still().run_test(size=(80, 24)) as pilot:
        composer = await demo_chat(pilot)
        sent: list[str] = []
        pilot.app.screen.answer = lambda begun: sent.append(*{one.prompt for one in begun.values()})  # type: ignore[attr-defined]
        await pilot.press("down")
        assert composer.box.text == DEMO[0]
        assert listed(pilot)[1] == f"❯ {DEMO[0]}"
        await pilot.press("down")
        assert composer.box.text == DEMO[1]
        await pilot.press("up", "up")
        assert composer.box.text == ""
        await pilot.press(*["down"] * 9)
        assert composer.box.text == DEMO[-1]
        assert not sent
        await pilot.press("enter")
        await pilot.pause()
        assert sent == [DEMO[-1]]


async def test_a_click_fills_the_prompt_and_sends_nothing() -> None:
    app = still()
    async with app.run_test(size=(80, 24)) as pilot:
        composer = await demo_chat(pilot)
        await pilot.click(Suggestions, offset=(5, 2))
        await pilot.pause()
        assert composer.box.text == DEMO[1]
        assert composer.box.has_focus
        await pilot.click(Suggestions, offset=(5, 0))  # the heading
        assert composer.box.text == DEMO[1]
        assert not app.left.conversation.turns


async def test_digits_are_typed() -> None:
    async with still().run_test(size=(80, 24)) as pilot:
        composer = await demo_chat(pilot)
        await pilot.press(*"12")
        assert composer.box.text == "12"


async def test_without_an_engine_there_are_none_and_low_terminals_have_fewer() -> None:
    app = still()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert app.left.phase is Phase.EMPTY
        assert not listed(pilot)
        await demo_chat(pilot)
        assert app.screen.query_one(Suggestions).size.height == 1 + len(DEMO)
        await pilot.resize_terminal(80, 12)
        await wait_until(pilot, lambda: app.screen.query_one(Suggestions).size.height == 3)
        assert app.screen.query_one(Composer).box.region.height == 3
