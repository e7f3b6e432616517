"""Ollama, asked by its own API: the other one ignores the context window and cuts prompts silently."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar

import httpx2

from engines.backends.endpoint.chat_stream import Reading
from engines.backends.endpoint.connection import lines
from engines.backends.endpoint.dialects.dialect import Dialect, Listing, number, text, with_precision
from engines.backends.endpoint.failures import error_message, not_an_api
from engines.backends.remote import Conversation, Piece
from engines.errors import EngineError
from engines.worker.protocol import ServerFacts

NANOSECONDS = 1e9


class Ollama(Dialect):
    """Ollama's own chat API: one JSON object a line, durations in nanoseconds."""

    title: ClassVar[str] = "Ollama"
    owners: ClassVar[frozenset[str]] = frozenset({"library"})
    ignored: ClassVar[tuple[str, ...]] = ("ignore_eos",)
    chooses_context: ClassVar[bool] = True
    chat_path: ClassVar[str] = "//api/chat"

    def recognises(self, listing: Listing) -> bool:
        """Ask for its version, at the path that only Ollama has."""
        if not (super().recognises(listing) or not any(listing.owners)):
            return False
        with suppress(EngineError):
            found = self.http.get("/api/version")
            return isinstance(found, dict) and bool(found.get("version"))
        return False

    def describe(self, facts: ServerFacts, listing: Listing) -> ServerFacts:
        """Return the quantisation and the longest context of the model."""
        version, shown = "", dict[str, Any]()
        with suppress(EngineError):
            version = text(self.http.get("/api/version").get("version"))
        if facts.model:
            found = self.http.post("/api/show", {"model": facts.model})
            shown = found if isinstance(found, dict) else {}
        details, info = shown.get("details"), shown.get("model_info")
        lengths = (
            number(value)
            for key, value in (info.items() if isinstance(info, dict) else ())
            if str(key).endswith(".context_length")
        )
        facts = replace(facts, version=version, context=next(lengths, 0), counts="usage")
        stored = text(details.get("quantization_level")) if isinstance(details, dict) else ""
        return with_precision(facts, stored, "quantization_level in /api/show")

    def body(self, conversation: Conversation, facts: ServerFacts) -> dict[str, object]:
        """Return a request of its own API, with the context window."""
        sampling = conversation.sampling
        options: dict[str, object] = {
            "num_ctx": facts.context,
            "num_predict": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "min_p": sampling.min_p,
            "repeat_penalty": sampling.repetition_penalty,
            "seed": sampling.seed,
        }
        if sampling.stop:
            options["stop"] = list(sampling.stop)
        return {
            "model": facts.model,
            "messages": list(conversation.messages),
            "stream": True,
            "options": options,
        }

    async def read(self, response: httpx2.Response, reading: Reading) -> AsyncIterator[None]:
        """Read one object a line; raises as `read_chat`."""
        async for line in lines(response):
            now = time.monotonic_ns()
            try:
                data = json.loads(line)
            except (ValueError, RecursionError):
                data = None
            if not isinstance(data, dict):
                raise not_an_api(reading.host, "its stream has a line that is not a JSON object")
            _take_line(data, now, reading)
            yield


def _take_line(data: dict[str, Any], now: int, reading: Reading) -> None:
    if data.get("error"):
        raise EngineError(
            "server-error", f"{reading.host} reported an error: {error_message(data)}", "Try again (R)."
        )
    reading.start()
    message = data.get("message")
    message = message if isinstance(message, dict) else {}
    answer, thought = (
        value if isinstance(value := message.get(name), str) else "" for name in ("content", "thinking")
    )
    if answer or thought:
        reading.take(Piece(now, answer, thought))
    if data.get("done"):
        reading.reason = "length" if data.get("done_reason") == "length" else "stop"
        _take_end(data, reading)


def _take_end(data: dict[str, Any], reading: Reading) -> None:
    """Read the counts, and the durations in nanoseconds."""
    reading.tokens = number(data.get("eval_count")) or None
    reading.prompt_tokens = number(data.get("prompt_eval_count")) or None
    for name, count, duration in (
        ("decode_rate", "eval_count", "eval_duration"),
        ("prefill_rate", "prompt_eval_count", "prompt_eval_duration"),
    ):
        seconds = _seconds(data.get(duration))
        if seconds and (tokens := number(data.get(count))):
            reading.figures[name] = tokens / seconds
    if load := _seconds(data.get("load_duration")):
        reading.figures["load_seconds"] = load


def _seconds(nanoseconds: object) -> float:
    return nanoseconds / NANOSECONDS if type(nanoseconds) is int and 0 < nanoseconds < 1 << 62 else 0.0
