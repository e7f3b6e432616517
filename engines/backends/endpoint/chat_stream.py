"""Read a streamed chat completion: text, thoughts, token counts, the end, and errors, of any kind of server.

Fields that servers leave out, send as null or send in another place are expected; see the tests.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, cast

import httpx2

from engines.backends.endpoint.connection import LARGEST_EVENT
from engines.backends.endpoint.failures import error_message, is_context_error, not_an_api
from engines.backends.remote import Piece
from engines.errors import EngineError

THOUGHTS = ("reasoning", "reasoning_content", "thinking")
"""Names of the field with a thought; vLLM renamed the second to the first."""
FINISHED = {"length": "length", "max_tokens": "length"}
"""Finish reasons that are not `stop`."""
ABORTED = ("abort", "error", "cancelled")
"""Finish reasons of an answer that the server gave up."""
MOST_TOKENS = 4_096
"""Tokens of one chunk that are believed."""


@dataclass
class Reading:
    """What has been read of an answer's stream."""

    host: str
    take: Callable[[Piece], None]
    begin: Callable[[tuple[int, ...], int], None]
    """Called once with the prompt's ids and its length, both empty if they are not reported yet."""
    begun: bool = False
    done: bool = False
    """Whether the end was marked by `[DONE]`."""
    reason: str = ""
    """One of FINISH_REASONS; empty while it is not known."""
    tokens: int | None = None
    """Of the answer, as the server counts them."""
    counted: int = 0
    """Tokens of the pieces so far."""
    prompt_tokens: int | None = None
    cached: int | None = None
    thought_tokens: int | None = None
    figures: dict[str, float] = field(default_factory=dict)
    """The server's own: fields of ServerAnswer."""

    def start(self, prompt_ids: tuple[int, ...] = ()) -> None:
        """The server has accepted the request."""
        if not self.begun:
            self.begun = True
            self.begin(prompt_ids, self.prompt_tokens or 0)

    @property
    def is_complete(self) -> bool:
        """Whether the stream ended as an answer ends."""
        return bool(self.reason) or self.done


async def read_chat(response: httpx2.Response, reading: Reading) -> AsyncIterator[None]:
    """Yield after each event, having written it into `reading`.

    Raises:
        EngineError: the server reported an error, or sent something else than a chat completion.
        httpx2.HTTPError: the connection ended, or an event is longer than LARGEST_EVENT.
    """
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        await _read_whole(response, reading)
        yield
        return
    if kind != "text/event-stream":
        raise not_an_api(reading.host, f"it sent {kind[:80] or 'something'} instead of a stream of events")
    # Closed here: after the last event it would be left to the garbage collector, which warns.
    events = cast("AsyncGenerator[Any, None]", aiter(httpx2.EventSource(response, LARGEST_EVENT)))
    async with aclosing(events):
        async for event in events:
            now, data = time.monotonic_ns(), event.data.strip()
            if data == "[DONE]":
                reading.done = True
                return
            if data:
                take_chunk(_object(data, reading.host), now, reading)
            yield


async def _read_whole(response: httpx2.Response, reading: Reading) -> None:
    """Read the answer of a server that does not stream."""
    data = bytearray()
    async for part in response.aiter_bytes():
        data += part
        if len(data) > LARGEST_EVENT:
            raise not_an_api(reading.host, f"its answer is larger than {LARGEST_EVENT:,} bytes")
    take_chunk(_object(data.decode("utf-8", "replace"), reading.host), time.monotonic_ns(), reading)


def _object(data: str, host: str) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise not_an_api(host, "its stream has an event that is not a JSON object")
    return found


def take_chunk(chunk: dict[str, Any], now: int, reading: Reading) -> None:
    """Write one chunk into `reading`.

    Raises:
        EngineError: `server-error`: it is an error object.
    """
    if chunk.get("error") or chunk.get("object") == "error":
        raise _reported(chunk, reading.host)
    _take_usage(_dict(chunk.get("usage")), reading)
    _take_timings(chunk, reading)
    choices = chunk.get("choices")
    choice = _dict(choices[0]) if isinstance(choices, list) and choices else {}
    reading.start(_ids(chunk.get("prompt_token_ids")) or _ids(choice.get("prompt_token_ids")))
    delta = _dict(choice.get("delta")) or _dict(choice.get("message"))
    text = _text(delta.get("content")) or _text(choice.get("text"))
    thought = next((found for name in THOUGHTS if (found := _text(delta.get(name)))), "")
    ids = _ids(choice.get("token_ids"))
    # A total that comes with the end alone says nothing about single tokens.
    at_end = not choice or (not reading.counted and not (text or thought) and choice.get("finish_reason"))
    tokens = len(ids) or (None if at_end else _new_tokens(chunk, reading))
    if text or thought or tokens:
        reading.take(Piece(now, text, thought, tokens, ids if len(ids) == tokens else ()))
        reading.counted += tokens or 0
    if reason := choice.get("finish_reason"):
        if reason in ABORTED:
            raise EngineError(
                "server-aborted", f"{reading.host} gave the answer up ({reason}).", "Try again (R)."
            )
        reading.reason = FINISHED.get(str(reason), "stop")


def _new_tokens(chunk: dict[str, Any], reading: Reading) -> int | None:
    """Return how many tokens a chunk adds by the server's own count; None if it does not count here."""
    usage, timings = _dict(chunk.get("usage")), _dict(chunk.get("timings"))
    total = _count(usage.get("completion_tokens")) if usage else _count(timings.get("predicted_n"))
    return None if total is None else min(max(0, total - reading.counted), MOST_TOKENS)


def _take_usage(usage: dict[str, Any], reading: Reading) -> None:
    for name, source in (("tokens", "completion_tokens"), ("prompt_tokens", "prompt_tokens")):
        if (count := _count(usage.get(source))) is not None:
            setattr(reading, name, count)
    prompt, completion = (_dict(usage.get(f"{one}_tokens_details")) for one in ("prompt", "completion"))
    if (cached := _count(prompt.get("cached_tokens"))) is not None:
        reading.cached = cached
    if (thoughts := _count(completion.get("reasoning_tokens"))) is not None:
        reading.thought_tokens = thoughts


def _take_timings(chunk: dict[str, Any], reading: Reading) -> None:
    """Read the `timings` of llama-server and the `stats` of LM Studio."""
    timings, stats = _dict(chunk.get("timings")), _dict(chunk.get("stats"))
    for name, value in (
        ("prefill_rate", timings.get("prompt_per_second")),
        ("decode_rate", timings.get("predicted_per_second", stats.get("tokens_per_second"))),
        ("ttft", stats.get("time_to_first_token_seconds", stats.get("time_to_first_token"))),
    ):
        if (figure := _figure(value)) is not None:
            reading.figures[name] = figure
    if (count := _count(timings.get("predicted_n"))) is not None:
        reading.tokens = count
    if (count := _count(timings.get("cache_n"))) is not None:
        reading.cached = count
        if (computed := _count(timings.get("prompt_n"))) is not None:
            reading.prompt_tokens = count + computed


def _reported(chunk: dict[str, Any], host: str) -> EngineError:
    said = error_message(chunk.get("error") or chunk) or "it gave no reason"
    if is_context_error(said):
        return EngineError("context-full", f"{host} stopped: {said}", "Send a shorter prompt.")
    return EngineError("server-error", f"{host} reported an error: {said}", "Try again (R).")


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    """Return a text, also where it comes in parts."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(_text(part.get("text")) for part in value if isinstance(part, dict))
    return ""


def _ids(value: object) -> tuple[int, ...]:
    if isinstance(value, list) and value and all(type(one) is int and one >= 0 for one in value):
        return tuple(value)
    return ()


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 1 << 53 else None


def _figure(value: object) -> float | None:
    return float(value) if type(value) in (int, float) and 0 < value < 1e12 else None  # type: ignore[operator, arg-type]
