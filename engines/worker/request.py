"""Ask a worker for one kind of answer, with its errors as exceptions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from engines.errors import EngineError
from engines.worker import protocol
from engines.worker.process import EngineProcess

Answer = TypeVar("Answer", bound=protocol.Event)


async def request(
    process: EngineProcess,
    command: protocol.Command,
    answer: type[Answer],
    on_event: Callable[[protocol.Event], None] | None = None,
) -> Answer:
    """Send a command to a worker and return its answer.

    Args:
        on_event: called with every event before the answer.

    Raises:
        EngineError: the worker answered with an Error event, or with something else.
    """
    event = await process.ask(command, on_event)
    if isinstance(event, protocol.Error):
        raise EngineError(event.code, event.message, event.hint, event.detail)
    if not isinstance(event, answer):
        raise EngineError("worker-nonsense", f"The worker answered {type(command).__name__} wrongly.")
    return event
