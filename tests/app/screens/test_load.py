"""The Load screen with a real engine, and with a server."""

from __future__ import annotations

import asyncio

from app.screens.load import LoadScreen
from app.state.settings.settings import EngineChoice, Server, Settings
from app.state.side.load_job import REQUESTS
from app.state.side.phase import Phase
from app.widgets.load.load_views import LoadFiguresView, RequestMapView, UserLines
from engines.build.server import REMOTE, SERVED
from tests.app.driving import ask, playground, toast_messages, until_ready, until_screen, wait_until
from tests.doubles.openai_server import OpenAIServer

CHOSEN = Settings(
    context=512, chosen=True, left=EngineChoice("pytorch", "fp32"), right=EngineChoice("openvino", "int8")
)


async def test_users_share_an_engine_and_the_chat_goes_on() -> None:
    """The side that batches is taken; figures and map are drawn; Esc stops; a prompt is answered then."""
    app = playground(CHOSEN)
    async with app.run_test(size=(100, 30)) as pilot:
        await until_ready(pilot)
        await pilot.press("alt+l")
        screen = await until_screen(pilot, LoadScreen)
        assert screen.side is app.right
        await pilot.press("s", "enter")
        assert "one request at a time" in " ".join(toast_messages(app))
        assert not screen.job.is_running
        await pilot.press("s", "minus", "minus", "minus", "plus", "enter")
        assert screen.job.users == 2
        await wait_until(pilot, lambda: not screen.job.is_running and screen.job.record is not None)
        record = screen.job.record
        assert record
        assert screen.job.error == ""
        assert record.figures().completed == 2 * REQUESTS
        assert app.right.phase is Phase.READY
        shown = str(screen.query_one(LoadFiguresView).content)
        assert "Complete: 2 users of OpenVINO int8" in shown
        assert "TTFT" in shown
        assert str(screen.query_one(UserLines).content).count("user") == 2
        assert "blocks" in str(screen.query_one(RequestMapView).border_title)
        await pilot.press("plus", "plus", "plus", "enter", "plus", "s")
        await wait_until(pilot, lambda: bool(screen.job.record and screen.job.record.figures().tokens))
        assert (screen.job.users, screen.side) == (16, app.right)
        await pilot.press("escape")
        await wait_until(pilot, lambda: not screen.job.is_running)
        stopped = screen.job.record
        assert screen.job.was_stopped
        assert stopped
        assert all(one.reason for one in stopped.requests.values())
        assert isinstance(app.screen, LoadScreen)
        await pilot.press("escape")
        await wait_until(pilot, lambda: not isinstance(app.screen, LoadScreen))
        await until_ready(pilot)
        await ask(pilot, "Hi")
        assert app.right.conversation.turns[-1].answer


async def test_an_engine_that_dies_is_an_error_on_the_screen() -> None:
    app = playground(CHOSEN)
    async with app.run_test(size=(100, 30)) as pilot:
        await until_ready(pilot)
        await pilot.press("alt+l")
        screen = await until_screen(pilot, LoadScreen)
        await pilot.press("enter")
        await wait_until(pilot, lambda: bool(screen.job.record and screen.job.record.figures().tokens))
        process = app.engine(app.right).process
        assert process
        await process.kill("The test ended it.")
        await wait_until(pilot, lambda: not screen.job.is_running)
        assert "The test ended it." in screen.job.error
        assert app.right.phase is Phase.FAILED
        assert "The test ended it." in str(screen.query_one(LoadFiguresView).content)


async def test_users_of_a_server_are_drawn_without_blocks_and_stopped() -> None:
    """Tokens that it does not count are marked; nothing is said of blocks; Esc closes every request."""
    double = OpenAIServer("ovms", breakage="no-usage", chunks=2_000, pause=0.01)
    with double.running():
        choice = EngineChoice(REMOTE, SERVED, server=Server(double.url))
        app = playground(Settings(context=512, chosen=True, left=choice, right=choice))
        async with app.run_test(size=(100, 30)) as pilot:
            await until_ready(pilot)
            await pilot.press("alt+l")
            screen = await until_screen(pilot, LoadScreen)
            assert screen.side is app.left
            await pilot.press("minus", "enter")
            await wait_until(
                pilot, lambda: bool(screen.job.record and len(screen.job.record.requests) == 2
                                    and screen.job.record.figures().user_rate),
            )  # fmt: skip
            screen.draw()
            figures = str(screen.query_one(LoadFiguresView).content)
            assert "is asked by 2 users" in figures
            assert "total ≈ " in figures
            users = str(screen.query_one(UserLines).content)
            assert "prompt n/a" in users
            assert "blocks" not in users
            map_view = screen.query_one(RequestMapView)
            assert "of the KV cache is reported" in str(map_view.content)
            assert "as the server reports it" in str(map_view.border_subtitle)
            await pilot.press("escape")
            await wait_until(pilot, lambda: not screen.job.is_running)
            assert screen.job.was_stopped
            record = screen.job.record
            assert record
            assert [one.reason for one in record.requests.values()] == ["stopped", "stopped"]
            assert app.left.phase is Phase.READY
            assert await asyncio.to_thread(double.aborted.wait, 60)
