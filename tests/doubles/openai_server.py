"""A double of nine kinds of OpenAI-compatible servers, and of how such servers break.

It speaks HTTP on a port of this machine and plays what each kind of server sends: its list of models, its
descriptions and metrics, and its stream of one answer. As the real ones it refuses what they refuse: a wrong
key, a model that it does not have, and fields that its kind does not know. A `breakage` changes the stream.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from tests.doubles.openai_answers import MODELS, computed, described, refusal
from tests.doubles.openai_streams import stream


@dataclass
class Request:
    """A request that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class OpenAIServer:
    """One server. Attributes may be changed while it runs."""

    kind: str = "vllm"
    key: str = ""
    """What requests must carry; empty for no check."""
    breakage: str = ""
    """See `_stream` and `Handler.do_POST`; empty for a healthy server."""
    loading: int = 0
    """How many requests are answered with 503 first."""
    busy: int = 0
    """How many chats are answered with 429 first."""
    elsewhere: str = ""
    """Where `redirect` leads."""
    pause: float = 0.0
    """Seconds between chunks."""
    chunks: int = 0
    """Chunks of one token; 0 for THOUGHT and ANSWER."""
    requests: list[Request] = field(default_factory=list)
    aborted: threading.Event = field(default_factory=threading.Event)
    """Set when a client closed the connection during an answer."""
    iterations: list[dict[str, Any]] = field(default_factory=list)
    """What trtllm-serve's /metrics still has; a call takes it away."""
    tokens: list[int] = field(default_factory=list)
    """What vLLM's /tokenize returns for any text."""
    url: str = ""

    @property
    def model(self) -> str:
        """The only model."""
        return MODELS.get(self.kind, "tiny")

    @property
    def base(self) -> str:
        """Base URL."""
        return f"{self.url}{'/v3' if self.kind == 'ovms' else '/v1'}"

    def chats(self) -> list[dict[str, Any]]:
        """Return the bodies of all chat requests."""
        return [one.body for one in self.requests if one.path.endswith(("/chat/completions", "/api/chat"))]

    @contextmanager
    def running(self, port: int = 0) -> Iterator[OpenAIServer]:
        """Listen until the block ends."""
        handler = type("Handler", (_Handler,), {"double": self})
        server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()


class _Handler(BaseHTTPRequestHandler):
    double: ClassVar[OpenAIServer]
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        if self._admitted({}):
            found = described(self.double, self.path)
            if isinstance(found, str):
                self._send(200, found.encode(), "text/plain")
            elif found is None:
                self._json({"detail": "Not Found"}, 404)
            else:
                self._json(found)

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length) or b"{}")
        if not self._admitted(body):
            return
        if self.path.endswith(("/chat/completions", "/api/chat")):
            if refused := refusal(self.double, body):
                self._json(*refused)
            else:
                self._chat(body)
        elif (found := computed(self.double, self.path, body)) is None:
            self._json({"detail": "Not Found"}, 404)
        else:
            self._json(found)

    def _admitted(self, body: dict[str, Any]) -> bool:
        self.double.requests.append(Request(self.command, self.path, dict(self.headers), body))
        if self.double.breakage == "redirect":
            self.send_response(307)
            self.send_header("Location", f"{self.double.elsewhere}{self.path}")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.double.breakage == "plain-error":
            self._send(500, b"out of memory\nat line 7", "text/plain")
        elif self.double.breakage == "html":
            self._send(200, b"<!DOCTYPE html><html><body>Router login</body></html>", "text/html")
        elif self.double.key and self.headers.get("Authorization") != f"Bearer {self.double.key}":
            sent = self.headers.get("Authorization", "nothing")
            self._json({"error": {"message": f"Incorrect API key provided: {sent}"}}, 401)
        elif self.double.loading:
            self.double.loading -= 1
            self._json({"error": {"code": 503, "message": "Loading model"}}, 503, {"Retry-After": "0.05"})
        else:
            return True
        return False

    def _chat(self, body: dict[str, Any]) -> None:
        self.send_response(200)
        kind = "application/x-ndjson" if self.double.kind == "ollama" else "text/event-stream"
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for data in stream(self.double, body):
                self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                self.wfile.flush()
            if self.double.breakage == "cut":
                self.close_connection = True  # without the last chunk of the encoding
                return
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.double.aborted.set()
            self.close_connection = True

    def _json(self, data: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(data).encode(), "application/json", headers)

    def _send(self, status: int, data: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(data)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
