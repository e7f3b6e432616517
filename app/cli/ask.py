"""`trt-playground ask`: one prompt without the app; the answer on stdout, everything else on stderr."""

from __future__ import annotations

from app.cli.output import echo, echo_text
from app.cli.step_output import print_step
from app.engine_lifecycle import EngineLifecycle
from app.state.conversation.server_words import server_words
from app.state.conversation.turn import Turn
from app.state.settings.paths import engine_store, log_folder
from app.state.settings.settings import ChatOptions
from app.state.side.side import Side
from app.units import rate_text, seconds_text
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.errors import error_text
from engines.worker import protocol


async def run_once(spec: EngineSpec, question: str, options: ChatOptions) -> int:
    """Build or load the engine, print its answer and timing, and close the engine.

    Returns:
        The exit code: 0, or 1 if the engine cannot be used or the answer failed; the reason is on stderr.
    """
    side = Side("ask")
    engine = EngineLifecycle(
        side, EngineStore(engine_store()), log_folder(), on_build=lambda _, step: print_step(step)
    )
    try:
        await engine.open(spec)
        if not side.can_answer:
            if side.error:
                _print(side.error)
            return 1
        side.conversation.system_prompt = options.system_prompt
        turn = side.conversation.begin(question, side.title)
        turn.sampling, turn.thinking = options.sampling, options.thinking
        await engine.answer(turn, side.conversation.messages(), options.sampling, on_event=_print)
        echo()
        if ignored := ignored_settings(turn):
            echo(f"{side.title} ignores {ignored}.", err=True)
        if turn.error or turn.timing is None:
            return 1
        timing = turn.timing
        ttfo = f"TTFO {seconds_text(timing.ttfo)}, " if turn.thought else ""
        echo(
            f"{side.title}: TTFT {seconds_text(timing.ttft)}, {ttfo}{rate_text(timing.decode_rate)}, "
            f"{timing.tokens} tokens, {turn.reason}",
            err=True,
        )
        for line in server_words(turn):
            echo(line, err=True)
        return 0
    finally:
        await engine.close()


def ignored_settings(turn: Turn) -> str:
    """Return the settings of the answer that had no effect, as text; empty without any."""
    sampling, effective = turn.sampling, turn.effective_sampling
    names = [name for name in turn.ignored_sampling if getattr(sampling, name) != getattr(effective, name)]
    return ", ".join(name.replace("_", " ") for name in names)


def _print(event: protocol.Event) -> None:
    if isinstance(event, protocol.Chunk):
        echo_text(event.text, err=event.thought)
    elif isinstance(event, protocol.Error):
        echo(error_text(event), err=True)
