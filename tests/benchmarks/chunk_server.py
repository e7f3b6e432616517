"""A server that streams recorded chunks at a chosen rate: `python -m tests.benchmarks.chunk_server KIND`.

It prints its base URL and listens until it is terminated. The seed of a request is the rate in tokens per
second; 0 is as fast as it can. The chunks are built before the first one is sent, each is one write on the
connection, and a late one does not delay the following ones.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from typing import Any

from tests.doubles.openai_answers import computed, described
from tests.doubles.openai_server import OpenAIServer
from tests.doubles.paced_worker import MARKDOWN

TEXTS = tuple(re.findall(r"(?s).{1,4}", MARKDOWN))
"""Of the chunks, about as long as tokens are."""
PROMPT_TOKENS = 5
COMMON: dict[str, Any] = {"created": 1795780281, "object": "chat.completion.chunk"}
RECORDED: dict[str, dict[str, Any]] = {
    "llama": COMMON | {
        "id": "chatcmpl-6hOISqxXyZhSY1wp66au2h4t59WnEVOl", "model": "/models/tiny-F32.gguf",
        "system_fingerprint": "b0-unknown",
    },
    "vllm": COMMON | {"id": "chatcmpl-8d2c1a0f5be34c7f9a0be1d4f4f0c7a5", "model": "tiny"},
}  # fmt: skip
"""What every chunk has: recorded from llama.cpp's server, and written as vLLM's protocol is."""
TIMINGS = {
    "cache_n": 0, "prompt_n": PROMPT_TOKENS, "prompt_ms": 1.965, "prompt_per_token_ms": 0.393,
    "prompt_per_second": 2544.529262086514, "predicted_ms": 2.069, "predicted_per_token_ms": 1.0345,
    "predicted_per_second": 966.6505558240697,
}  # fmt: skip
"""Recorded with every chunk of llama.cpp's server."""
END_OF_BODY = b"0\r\n\r\n"


def answer(kind: str, tokens: int) -> list[bytes]:
    """Return the events of an answer of `tokens` tokens, one token each, in chunked encoding."""
    common = RECORDED[kind]
    first: dict[str, Any] = {"role": "assistant", "content": None if kind == "llama" else ""}
    choice = {"index": 0, "delta": first, "finish_reason": None}
    chunks = [common | {"choices": [choice]} | _counts(kind, 0)]
    chunks += [_token(kind, place, tokens) for place in range(tokens)]
    if kind == "llama":
        chunks.append(common | {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]})
    usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": tokens}
    chunks.append(common | {"choices": [], "usage": usage} | _counts(kind, tokens))
    events = [f"data: {json.dumps(one, separators=(',', ':'))}\n\n".encode() for one in chunks]
    return [f"{len(one):x}\r\n".encode() + one + b"\r\n" for one in (*events, b"data: [DONE]\n\n")]


def _token(kind: str, place: int, tokens: int) -> dict[str, Any]:
    """Return the chunk of one token. vLLM writes the reason of the end into the last one."""
    choice: dict[str, Any] = {"index": 0, "delta": {"content": TEXTS[place % len(TEXTS)]}}
    choice["finish_reason"] = None
    if kind == "vllm":
        reason = "length" if place + 1 == tokens else None
        choice |= {"logprobs": None, "finish_reason": reason, "token_ids": [1_000 + place % len(TEXTS)]}
    return RECORDED[kind] | {"choices": [choice]} | _counts(kind, place + 1)


def _counts(kind: str, done: int) -> dict[str, Any]:
    """Return what a kind counts in a chunk, with `timings_per_token` or `continuous_usage_stats`."""
    if kind == "vllm":
        total = PROMPT_TOKENS + done
        return {"usage": {"prompt_tokens": PROMPT_TOKENS, "total_tokens": total, "completion_tokens": done}}
    return {"timings": TIMINGS | {"predicted_n": done}} if done else {}


class Server:
    """Serves one kind."""

    def __init__(self, kind: str) -> None:
        self._kind, self._double = kind, OpenAIServer(kind)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection until the client closes it."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                method, path, _ = head.decode().split(" ", 2)
                length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
                body = json.loads(await reader.readexactly(int(length[1])) if length else b"{}")
                if path.endswith("/chat/completions"):
                    await self._stream(writer, body)
                else:
                    self._describe(writer, method, path, body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _stream(self, writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
        parts, rate = answer(self._kind, body["max_tokens"]), body["seed"]
        writer.write(_head(200, "text/event-stream", "Transfer-Encoding: chunked"))
        started = time.monotonic()
        for count, part in enumerate(parts):
            if rate and (early := started + count / rate - time.monotonic()) > 0:
                await asyncio.sleep(early)
            writer.write(part)
            await writer.drain()
        writer.write(END_OF_BODY)

    def _describe(self, writer: asyncio.StreamWriter, method: str, path: str, body: dict[str, Any]) -> None:
        asked = method == "GET"
        found = described(self._double, path) if asked else computed(self._double, path, body)
        is_text = isinstance(found, str)
        data = found.encode() if isinstance(found, str) else json.dumps(found).encode()
        kind = "text/plain" if is_text else "application/json"
        status = 404 if found is None else 200
        writer.write(_head(status, kind, f"Content-Length: {len(data)}") + data)


def _head(status: int, kind: str, framing: str) -> bytes:
    return f"HTTP/1.1 {status} .\r\nContent-Type: {kind}\r\n{framing}\r\n\r\n".encode()


async def main(kind: str) -> None:
    """Listen on a free port of this machine."""
    server = await asyncio.start_server(Server(kind).serve, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
