"""What nine kinds of OpenAI-compatible servers stream as an answer, healthy and broken."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.doubles.openai_server import OpenAIServer

THOUGHT = ("Let me ", "think.")
ANSWER = ("Keys ", "and ", "values")
TEXT = "".join(ANSWER)
IDS = (11, 12, 13, 14, 15)
"""Token ids of thought and answer, for vLLM."""
PROMPT_IDS = (1, 2, 3, 4)
THOUGHT_FIELDS = {"vllm": "reasoning", "triton": "", "plain": "reasoning", "ollama": "thinking"}
"""Name of the field with a thought; `reasoning_content` for the others."""


def stream(double: OpenAIServer, body: dict[str, Any]) -> Iterator[bytes]:
    """Yield the parts of the response's body."""
    if double.breakage == "garbage":
        yield b'data: {"choices": [{"delta": {"content": "Keys "}}]}\n\ndata: \xff\xfe{{{\n\n'
    elif double.breakage in ENDLESS:
        while True:  # until the client gives up
            yield ENDLESS[double.breakage]
            time.sleep(0.02 if double.breakage == "silent" else 0)
    else:
        whole = _ollama(double) if double.kind == "ollama" else _chat(double, body)
        for data in whole:
            yield from (bytes([one]) for one in data) if double.breakage == "split" else (data,)


ENDLESS = {"endless-line": b"x" * 65_536, "silent": b": ping\n\n"}
"""What is sent over and over."""


def _chat(double: OpenAIServer, body: dict[str, Any]) -> Iterator[bytes]:
    for data in _events(double, body):
        text = json.dumps(data, ensure_ascii=False)
        yield _framed(double, text)
        time.sleep(double.pause)
        if double.breakage == "cut" and "Keys" in text:
            return
        if double.breakage == "error-after-200" and "Keys" in text:
            yield b'data: {"error":{"message":"CUDA out of memory","type":"server_error","code":500}}\n\n'
            break
    if double.breakage not in ("no-done", "plain-end") and double.kind != "transformers":
        yield b"data: [DONE]\n\n"


def _framed(double: OpenAIServer, text: str) -> bytes:
    """Return an event in the way of its kind."""
    if double.breakage == "pings":
        return f": ping\n\nevent: message\r\nid: 1\r\ndata:{text}\r\n\r\n: ping\n\n".encode()
    trailing = " " if double.kind == "trtllm" else ""
    return f"data: {text}{trailing}\n\n".encode()


def _deltas(double: OpenAIServer) -> list[tuple[str, str]]:
    """Return (thought, text) of each chunk."""
    if double.chunks:
        return [("", f"w{number} ") for number in range(double.chunks)]
    thoughts = [] if THOUGHT_FIELDS.get(double.kind) == "" else [(one, "") for one in THOUGHT]
    answer = ("Keys ", "a\u2028b\x85c\u2029 ", "é") if double.breakage in ("separators", "split") else ANSWER
    return [*thoughts, *(("", one) for one in answer)]


def _stopped(deltas: list[tuple[str, str]], stop: list[str], *, include: bool) -> list[tuple[str, str]]:
    """Return the chunks up to the stop string that comes first, or including it."""
    text = "".join(one for _, one in deltas)
    ends = [place + len(one) * include for one in stop if (place := text.find(one)) >= 0]
    left, kept = min(ends, default=len(text)), []
    for thought, one in deltas:
        if thought or one[:left]:
            kept.append((thought, one[:left]))
        left = max(0, left - len(one))
    return kept


def _events(double: OpenAIServer, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    kind = double.kind
    deltas = _stopped(_deltas(double), body.get("stop") or [], include=kind in ("ovms", "transformers"))
    options = body.get("stream_options") or {}
    continuous = bool(options.get("continuous_usage_stats")) and kind in ("vllm", "trtllm", "sglang")
    common = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": double.model}
    bare = kind in ("trtllm", "transformers")
    first: dict[str, Any] = {"role": "assistant"} if bare else {"role": "assistant", "content": ""}
    head = common | {"choices": [{"index": 0, "delta": first, "finish_reason": None}]}
    if body.get("return_token_ids") and kind == "vllm":
        head["prompt_token_ids"] = list(PROMPT_IDS)
    yield head
    for place, (thought, text) in enumerate(deltas):
        choice: dict[str, Any] = {"index": 0, "delta": _delta(kind, thought, text), "finish_reason": None}
        chunk = common | {"choices": [choice]}
        if body.get("return_token_ids") and kind == "vllm":
            choice["token_ids"] = [IDS[place % len(IDS)]]
        if continuous and double.breakage != "no-usage":
            chunk["usage"] = _usage(place + 1)
        if kind == "llama" and body.get("timings_per_token"):
            chunk["timings"] = _timings(place + 1)
        yield chunk
    yield from _last(double, body, len(deltas), common)


def _delta(kind: str, thought: str, text: str) -> dict[str, Any]:
    """Return a delta with the fields that a kind writes."""
    if kind == "trtllm":
        return {"content": text, "reasoning_content": thought, "reasoning": None}
    delta: dict[str, Any] = {"content": text} if text else {}
    if thought:
        delta[THOUGHT_FIELDS.get(kind, "reasoning_content")] = thought
    elif kind == "llama":
        delta["reasoning_content"] = None
    return delta


def _last(
    double: OpenAIServer, body: dict[str, Any], tokens: int, common: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield the finish reason, and the usage if it was asked for."""
    kind = double.kind
    finish = "" if double.breakage == "plain-end" else "stop"
    if body["max_tokens"] <= tokens and kind != "triton":
        finish = "length"
    end = common | {"choices": [{"index": 0, "delta": {}, "finish_reason": finish or None}]}
    if kind == "transformers":  # with the usage in the same chunk, asked for or not
        yield end | ({} if double.breakage == "no-usage" else {"usage": _usage(tokens)})
        return
    yield end
    if (body.get("stream_options") or {}).get("include_usage") and double.breakage != "no-usage":
        last: dict[str, Any] = common | {"choices": [], "usage": _usage(tokens)}
        if kind == "llama":
            last["timings"] = _timings(tokens)
        if kind == "lmstudio":
            last["stats"] = {"tokens_per_second": 50.0, "time_to_first_token": 0.25}
        yield last


def _usage(tokens: int) -> dict[str, Any]:
    return {
        "prompt_tokens": 4, "completion_tokens": tokens, "total_tokens": 4 + tokens,
        "prompt_tokens_details": {"cached_tokens": 2}, "completion_tokens_details": None,
    }  # fmt: skip


def _timings(tokens: int) -> dict[str, Any]:
    return {
        "cache_n": 2, "prompt_n": 2, "prompt_ms": 10.0, "prompt_per_second": 200.0, "predicted_n": tokens,
        "predicted_ms": 100.0, "predicted_per_second": 40.0,
    }  # fmt: skip


def _ollama(double: OpenAIServer) -> Iterator[bytes]:
    for thought, text in _deltas(double):
        message = {"role": "assistant", "content": text} | ({"thinking": thought} if thought else {})
        yield json.dumps({"model": double.model, "message": message, "done": False}).encode() + b"\n"
        time.sleep(double.pause)
        if double.breakage == "error-after-200" and text:
            yield b'{"error":"an error was encountered while running the model"}\n'
            return
        if double.breakage == "cut" and text:
            return
    end: dict[str, Any] = {
        "model": double.model,
        "message": {"role": "assistant", "content": ""},
        "done": True,
    }
    end |= {"done_reason": "stop", "load_duration": 500_000_000}
    if double.breakage != "no-usage":
        end |= {
            "prompt_eval_count": 4, "prompt_eval_duration": 40_000_000, "eval_count": 5,
            "eval_duration": 100_000_000,
        }  # fmt: skip
    yield json.dumps(end).encode() + b"\n"
