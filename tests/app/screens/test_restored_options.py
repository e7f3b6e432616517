"""A reopened conversation restores system prompt and sampling of each side."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace
from textual.pilot import Pilot

from app.screens.chat import ChatScreen
from app.screens.conversations import ConversationsScreen
from app.state.settings.paths import conversation_folder
from app.state.settings.settings import ChatOptions, Settings, load_settings
from engines.worker.protocol import Sampling
from tests.app.driving import ask, playground, toast_messages, until_ready, wait_until

PIRATE = ChatOptions("Be a pirate.", Sampling(max_tokens=6, temperature=0.8, seed=3, ignore_eos=True))
PLAIN = ChatOptions(sampling=Sampling(max_tokens=4, ignore_eos=True))
NOTICE = "Left: system prompt “Be a pirate.”, temperature 0.8 (was 0), seed 3 (was 0), max tokens 6 (was 4)"


async def reopen(pilot: Pilot[None]) -> None:
    await pilot.press("f3")
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, ConversationsScreen))
    screen = pilot.app.screen
    assert isinstance(screen, ConversationsScreen)
    await wait_until(pilot, lambda: screen.chosen is not None)
    await pilot.press("enter")
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))


async def test_reopened_with_f3(settings: Settings, tmp_path: Path) -> None:
    """Changed options are notified, saved and used for the next prompt; unchanged ones are not notified."""
    file = tmp_path / "settings.toml"
    app = playground(replace(settings, left_chat=PIRATE, right_chat=PLAIN), file)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await until_ready(pilot)
        await ask(pilot, "one")
        await reopen(pilot)
        assert not any("Asked as" in message for message in toast_messages(app))
        app.change_settings(left_chat=PLAIN)
        await reopen(pilot)
        assert any(NOTICE in message and "Right" not in message for message in toast_messages(app))
        await ask(pilot, "two")
        last = app.left.conversation.turns[-1]
        assert (last.system_prompt, last.sampling) == (PIRATE.system_prompt, PIRATE.sampling)
        assert app.right.conversation.turns[-1].sampling == PLAIN.sampling
    assert load_settings(file).left_chat == PIRATE
    [saved] = conversation_folder().glob("*.jsonl")
    await _check_continue(replace(settings, left_chat=PLAIN, right_chat=PLAIN), saved)


async def _check_continue(settings: Settings, saved: Path) -> None:
    """Check the notice after a start with `--continue`, which restores options before there is a screen."""
    app = playground(settings, None, saved)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen))
        assert any(NOTICE in message for message in toast_messages(app))
        assert app.settings.left_chat == PIRATE
        assert [turn.prompt for turn in app.left.conversation.turns] == ["one", "two"]
        await until_ready(pilot)
