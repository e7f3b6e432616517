"""Opening the engines of the sides, and closing them: what runs beside the event loop of the app."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from app.notifications import tell_opened
from app.state.prepare.build_state import BuildState
from app.state.side.side import Side, engine_title
from engines.backends.registry import BACKENDS
from engines.build.spec import EngineSpec

if TYPE_CHECKING:
    from app.playground import Playground

CLOSE_SECONDS = 5.0
"""Quitting waits so long for engines; those that are still there end when their stdin closes."""


async def open_side(app: Playground, side: Side) -> None:
    """Prepare and load the engine that the settings name for `side`, and publish every step."""
    spec = wanted_engine(app, side)
    build = app.builds[side.name] = BuildState(engine_title(spec))
    app.build_changed.publish(side.name)
    try:
        if BACKENDS[spec.backend].own_environment:
            await app.find_interpreters()
        async with contextlib.aclosing(side.open(spec)) as steps:
            async for step in steps:
                build.take(step)
                app.build_changed.publish(side.name)
    except asyncio.CancelledError:
        build.cancel()
        app.build_changed.publish(side.name)
        raise
    finally:
        if build.running:  # a bug in a stage: the worker tells it, and the clock must not go on
            build.end()
            app.build_changed.publish(side.name)
    tell_opened(app, side, build)
    from app.screens.prepare import PrepareScreen

    if isinstance(app.screen, PrepareScreen) and all(state.ready for state in app.builds.values()):
        app.show_chat()


def wanted_engine(app: Playground, side: Side) -> EngineSpec:
    """What the settings say about a side."""
    settings = app.settings
    choice = settings.left if side.name == "left" else settings.right
    return EngineSpec(
        settings.checkpoint_path,
        choice.backend,
        choice.precision,
        app.device_for(choice.backend).name,
        choice.kv_precision,
        settings.context,
        options=choice.options,
    )


async def close_sides(app: Playground) -> None:
    """End every engine and every build, each by itself: one that fails to end keeps no other."""
    app.cancel_builds()
    ends = [side.close() for side in app.sides]
    builds = [worker.wait() for worker in app.opening]
    with contextlib.suppress(asyncio.TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await asyncio.gather(*ends, *builds, return_exceptions=True)
