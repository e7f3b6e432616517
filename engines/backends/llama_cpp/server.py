"""llama.cpp's server in this process, asked through a socket that only this user can open."""

from __future__ import annotations

import http.client
import json
import secrets
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xllamacpp

from engines.errors import EngineError

WARNINGS = 2
"""Verbosity of the library's log; above it there are several lines a request."""
BATCH_TOKENS = 256
"""Tokens of a prompt that are computed at once; an answer can be stopped between them."""
LONGEST_SOCKET = 100
"""Bytes in the name of a socket, of about 104 that systems allow."""
STOP_POLL_SECONDS = 0.02
KV_TYPES = {"f32": "GGML_TYPE_F32", "f16": "GGML_TYPE_F16", "q8_0": "GGML_TYPE_Q8_0"}
KV_BYTES = {"f32": 4.0, "f16": 2.0, "q8_0": 34 / 32}
"""Bytes of a value of the KV cache; q8_0 has a 16-bit scale for 32 of them."""


@dataclass(frozen=True)
class ServerSettings:
    """What a file is loaded with."""

    file: Path
    context: int
    threads: int
    kv_precision: str
    """A key of KV_TYPES."""
    gpu: int | None = None
    """The GPU that holds all layers; None: the CPU."""


class LlamaServer:
    """A loaded file. It computes one request at a time."""

    def __init__(self, settings: ServerSettings) -> None:
        """Load the file.

        Raises:
            EngineError: `load-failed`.
        """
        self.file = settings.file
        self._key = secrets.token_urlsafe(24)
        self._folder = Path(tempfile.mkdtemp(prefix="llama-cpp-"))  # for this user only
        try:
            self._server: Any = xllamacpp.Server(self._parameters(settings))
        except RuntimeError as error:
            self.close()
            raise EngineError(
                "load-failed",
                "llama.cpp cannot load the file; the log of the engine says why.",
                "Build the engine again, or choose another file.",
            ) from error

    def _parameters(self, settings: ServerSettings) -> Any:
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(settings.file)
        parameters.n_ctx, parameters.n_parallel = settings.context, 1
        parameters.n_batch = parameters.n_ubatch = BATCH_TOKENS
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = settings.threads
        kind = getattr(xllamacpp.ggml_type, KV_TYPES[settings.kv_precision])
        parameters.cache_type_k = parameters.cache_type_v = kind
        parameters.n_gpu_layers = 0 if settings.gpu is None else 999
        parameters.main_gpu = settings.gpu or 0
        # Otherwise it changes the context to what fits, and keeps states of old prompts in up to 8 GB.
        parameters.fit_params, parameters.cache_ram_mib = False, 0
        if settings.kv_precision == "f32":
            # Its flash attention on CPUs computes in f16: KL 1e-5 from exact attention with random weights.
            parameters.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        parameters.verbosity = WARNINGS
        parameters.ui = parameters.endpoint_slots = parameters.use_jinja = False
        parameters.enable_chat_template = False
        parameters.api_keys = [self._key]
        if (name := self._socket) is not None:
            parameters.hostnames = [name]
        return parameters

    @property
    def _socket(self) -> str | None:
        """The name of the socket; None where there is none, and the server listens on the loopback device."""
        name = str(self._folder / "server.sock")
        usable = hasattr(socket, "AF_UNIX") and len(name.encode()) <= LONGEST_SOCKET
        return name if usable else None

    def close(self) -> None:
        """Release the file and its memory."""
        self._server = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def ask(self, path: str, body: dict[str, object] | None = None) -> dict[str, Any]:
        """Return the reply to a request: GET without a body, else POST.

        Raises:
            EngineError: `engine-failed`: the server refused it.
        """
        found: dict[str, Any] = json.loads(self.reply(path, body))
        return found

    def reply(self, path: str, body: dict[str, object] | None = None) -> bytes:
        """Return the JSON of a reply; see `ask`."""
        with closing(self._connect()) as connection:
            return self._send(connection, path, body).read()

    def stream(self, body: dict[str, object], stopped: Callable[[], bool]) -> Iterator[dict[str, Any]]:
        """Yield the events of a completion; closing the generator, or `stopped`, cancels it.

        Raises:
            EngineError: `engine-failed`.
        """
        with closing(self._connect()) as connection:
            response = self._send(connection, "/completion", body | {"stream": True})
            done = threading.Event()
            watcher = threading.Thread(target=_shut_down, args=(connection.sock, stopped, done), daemon=True)
            watcher.start()
            try:
                yield from _events(response)
            finally:
                done.set()
                watcher.join()

    def _connect(self) -> http.client.HTTPConnection:
        if self._socket is not None:
            return _SocketConnection(self._socket)
        address = self._server.listening_address.removeprefix("http://")
        return http.client.HTTPConnection(address)

    def _send(
        self, connection: http.client.HTTPConnection, path: str, body: dict[str, object] | None
    ) -> http.client.HTTPResponse:
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        try:
            if body is None:
                connection.request("GET", path, headers=headers)
            else:
                connection.request("POST", path, json.dumps(body), headers)
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise EngineError(
                "engine-failed", f"llama.cpp failed: {error}.", "Load the engine again."
            ) from error
        if response.status != http.HTTPStatus.OK:
            raise EngineError("engine-failed", f"llama.cpp refused the request: {_reason(response.read())}")
        return response


class _SocketConnection(http.client.HTTPConnection):
    """HTTP through a Unix socket."""

    def __init__(self, name: str) -> None:
        super().__init__("localhost")
        self._name = name

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._name)


def _shut_down(connection: socket.socket, stopped: Callable[[], bool], done: threading.Event) -> None:
    """Close the connection once the user stops, also while nothing arrives."""
    while not done.wait(STOP_POLL_SECONDS):
        if stopped():
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            return


def _events(response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    try:
        for line in response:
            if line.startswith(b"data: {"):
                event = json.loads(line[len(b"data: ") :])
                yield event
            elif line.startswith(b"error: "):
                raise EngineError("engine-failed", f"llama.cpp failed: {_reason(line[len(b'error: ') :])}")
    except (OSError, http.client.HTTPException):  # the connection was shut down
        return


def _reason(reply: bytes) -> str:
    try:
        return str(json.loads(reply)["error"]["message"])[:300]
    except (ValueError, KeyError, TypeError):
        return reply.decode(errors="replace")[:300]
