"""One question without the terminal UI: the answer goes to stdout, everything else to stderr."""

from __future__ import annotations

import sys

from app.engine_lifecycle import EngineLifecycle
from app.state.settings.paths import engine_store, log_folder
from app.state.settings.settings import ChatOptions
from app.state.side.pacing import displayable
from app.state.side.side import Side
from app.units import rate_text, seconds_text
from engines.build.prepare import Step
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.worker import protocol


async def run_once(spec: EngineSpec, question: str, options: ChatOptions) -> int:
    """Open the engine, ask, and print the answer. Returns the exit code."""
    side = Side("ask")
    engine = EngineLifecycle(side, EngineStore(engine_store()), log_folder(), on_build=_print_step)
    try:
        await engine.open(spec)
        if not side.can_answer:
            if side.error:
                _print(side.error)
            return 1
        side.conversation.system_prompt = options.system_prompt
        turn = side.conversation.begin(question, side.title)
        await engine.answer(turn, side.conversation.messages(), options.sampling, on_event=_print)
        print()
        if turn.error or turn.timing is None:
            return 1
        timing = turn.timing
        _report(
            f"{side.title}: TTFT {seconds_text(timing.ttft)}, {rate_text(timing.decode_rate)}, "
            f"{timing.tokens} tokens, {turn.reason}"
        )
        return 0
    finally:
        await engine.close()


def _print_step(_: Side, step: Step | None) -> None:
    if isinstance(step, protocol.Stage):
        _report(f"{step.name} ({step.index} of {step.of})")
    elif isinstance(step, protocol.Log):
        _report(step.line)


def _print(event: protocol.Event) -> None:
    if isinstance(event, protocol.Chunk):
        print(displayable(event.text), end="", flush=True)
    elif isinstance(event, protocol.Error):
        _report(f"{event.message} {event.hint}".strip())


def _report(line: str) -> None:
    print(displayable(line), file=sys.stderr)
