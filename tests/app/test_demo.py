"""`--demo` plays the suggested prompts with real engines, until a key is pressed."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from app.demo import FINISHED, NOTE, TAKEN_OVER, DemoOptions, Pace
from app.playground import Playground
from app.screens.chat import ChatScreen
from app.state.conversation.draft import Draft, DraftFile
from app.state.conversation.record import read_record
from app.state.conversation.saved_conversations import saved_conversations
from app.state.conversation.suggested_prompts import suggested_prompts
from app.state.settings.paths import conversation_folder, draft_file, prompt_history_file, settings_file
from app.state.settings.settings import DEMO, Settings, load_settings, save_settings
from app.state.side.phase import ANSWERING, Phase
from app.widgets.chat.prompt import PromptInput
from app.widgets.chat.stage_figures import StageTitle
from engines.worker.protocol import Sampling
from tests.app.conftest import OPENVINO
from tests.app.driving import sampled, toasts, until_answered, until_finished, wait_until
from tests.doubles.fork_server import start_forked

AT_ONCE = Pace(key=0.001, before=0.0, reading=0.0, a_thousand_characters=0.0)
NEVER = 3600.0
PROMPTS = suggested_prompts(DEMO)
SETTINGS = sampled(
    Settings(chosen=True, left=OPENVINO, right=OPENVINO, context=512), Sampling(max_tokens=6, ignore_eos=True)
)
"""The demo checkpoint, with short answers."""


def demo(pace: Pace = AT_ONCE, *, loop: bool = False, settings: Settings = SETTINGS) -> Playground:
    """Return an app that plays a demo with real engines."""
    return Playground(settings, start_worker=start_forked, demo=DemoOptions(loop, pace))


def chat(app: Playground) -> ChatScreen:
    """Return the chat, which is shown."""
    assert isinstance(app.screen, ChatScreen)
    return app.screen


def asked(app: Playground) -> list[str]:
    """Return the prompts that the left side was asked."""
    return [turn.prompt for turn in app.left.conversation.turns]


async def until_playing(pilot: Pilot[None], app: Playground) -> None:
    """Wait until the stage is shown and the demo plays."""
    await wait_until(pilot, lambda: isinstance(app.screen, ChatScreen) and chat(app).on_stage)
    assert app.demo
    assert app.demo.is_playing


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_it_asks_every_prompt_and_hands_over(size: tuple[int, int]) -> None:
    """On the stage, without a question; both sides answer each prompt; then it says that it has ended."""
    app = demo()
    async with app.run_test(size=size, notifications=True) as pilot:
        await until_playing(pilot, app)
        assert NOTE in str(app.screen.query_one(StageTitle).content)
        await wait_until(pilot, lambda: FINISHED in toasts(app))
        assert asked(app) == list(PROMPTS)
        assert all(turn.answer for side in app.sides for turn in side.conversation.turns)
        assert chat(app).on_stage
        assert NOTE not in str(app.screen.query_one(StageTitle).content)
        await pilot.press(*"Hi")
        assert chat(app).query_one(PromptInput).text == "Hi"


async def test_letters_are_typed_one_by_one() -> None:
    """The prompt grows on the screen before it is sent."""
    app, seen = demo(Pace(key=0.001, before=0.001, reading=NEVER)), set[str]()
    async with app.run_test(size=(80, 24)) as pilot:
        await until_playing(pilot, app)
        box = chat(app).query_one(PromptInput)
        insert = box.insert

        def watched(*arguments: str) -> object:
            result = insert(*arguments)
            seen.add(box.text)
            return result

        box.insert = watched  # type: ignore[method-assign, assignment]
        await wait_until(pilot, lambda: asked(app) == [PROMPTS[0]])
        assert seen == {PROMPTS[0][: end + 1] for end in range(len(PROMPTS[0]))}


async def test_any_key_stops_it_and_is_nothing_else() -> None:
    """While a prompt is typed: the half prompt is removed, the key does nothing, no other prompt follows."""
    app = demo(Pace(key=NEVER, before=0.0))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until_playing(pilot, app)
        box = chat(app).query_one(PromptInput)
        await wait_until(pilot, lambda: box.text == PROMPTS[0][0])
        await pilot.press("f1")
        await until_finished(pilot, "demo")
        assert isinstance(app.screen, ChatScreen)
        assert TAKEN_OVER in toasts(app)
        assert box.text == ""
        await pilot.press("x")
        assert box.text == "x"
        await pilot.press("escape")
        assert not chat(app).on_stage
        assert asked(app) == []


async def test_a_key_during_an_answer_lets_it_end() -> None:
    """The answer continues; the user's Esc stops it, as in any chat."""
    app = demo(settings=sampled(SETTINGS, Sampling(max_tokens=300, ignore_eos=True)))
    async with app.run_test(size=(80, 24)) as pilot:
        await until_playing(pilot, app)
        await wait_until(pilot, lambda: any(side.phase in ANSWERING for side in app.sides))
        await pilot.press("space")
        await until_answered(pilot)
        await until_finished(pilot, "demo")
        assert asked(app) == [PROMPTS[0]]
        assert all(side.conversation.turns[-1].reason == "length" for side in app.sides)


async def test_quit_quits() -> None:
    app = demo(Pace(before=NEVER))
    async with app.run_test(size=(80, 24)) as pilot:
        await until_playing(pilot, app)
        await pilot.press("ctrl+q")
        await wait_until(pilot, lambda: not app.is_running)


async def test_a_loop_keeps_its_last_pass_only() -> None:
    """Each pass is a conversation; the one before is deleted, those of the user are not."""
    app = demo(loop=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_playing(pilot, app)
        files: list[Path | None] = []  # read at once: the next pass begins without a pause

        def has_asked_all() -> bool:
            if len(asked(app)) == len(PROMPTS):
                files.append(app.history.path)
            return bool(files)

        await wait_until(pilot, has_asked_all)
        first = files[0]
        await wait_until(pilot, lambda: len(asked(app)) == 1)
        await wait_until(pilot, lambda: first is not None and not first.exists())
        await pilot.press("space")
        await until_answered(pilot)
        (saved,) = saved_conversations(conversation_folder())
        assert saved.path == app.history.path
        turns = read_record(saved.path).sides["left"].turns
        assert [turn.prompt for turn in turns] == asked(app) == list(PROMPTS[: len(turns)])


async def test_nothing_of_the_user_is_changed() -> None:
    """Settings, draft and prompt history are as before, also after keys that change settings."""
    save_settings(settings_file(), Settings(theme="playground-light"))
    draft = DraftFile(draft_file())
    draft.set_pending(Draft("half a thought"))
    draft.write()
    draft.close()
    before = {path: path.read_bytes() for path in files()}
    app = demo()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until_playing(pilot, app)
        assert chat(app).query_one(PromptInput).text in ("", *(PROMPTS[0][:end] for end in range(99)))
        await wait_until(pilot, lambda: FINISHED in toasts(app))
        await pilot.press("ctrl+t", *"typed")
    assert {path: path.read_bytes() for path in files()} == before
    assert not prompt_history_file().exists()
    assert load_settings(settings_file()).theme == "playground-light"


def files() -> list[Path]:
    """Return the files of settings, drafts and prompt history."""
    folders = {settings_file().parent, draft_file().parent, prompt_history_file().parent}
    found = [path for folder in folders for path in folder.glob("*.*") if path.is_file()]
    return [path for path in found if path.suffix in (".toml", ".json", ".txt")]


async def test_a_failed_engine_ends_it_with_the_reason(tmp_path: Path) -> None:
    app = demo(settings=replace(SETTINGS, checkpoint=str(tmp_path)))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await wait_until(pilot, lambda: "The demo has stopped: " in toasts(app))
        assert "config.json" in toasts(app)
        assert any(side.phase is Phase.FAILED for side in app.sides)
