"""HTTP to one server, from any thread: small JSON requests, and streamed answers, several at once.

Redirects are followed on the same host only. Loopback addresses are asked without a proxy. TLS is verified.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2

from engines.backends.endpoint.credentials import Credentials
from engines.backends.endpoint.failures import (
    not_an_api,
    redirected,
    status_failure,
    transport_failure,
)
from engines.build.server import ServerAddress
from engines.errors import EngineError

CONNECT_SECONDS = 5.0
SMALL_SECONDS = 10.0
"""For an answer about models or metrics."""
SCORE_SECONDS = 600.0
"""For the scores of a text, which a busy server computes late."""
LARGEST_BODY = 64_000_000
"""Bytes of a response that is not streamed: the scores of 4,096 tokens with 20 alternatives are 10 MB."""
LARGEST_MESSAGE = 65_536
"""Bytes of an error's body that are read."""
LARGEST_EVENT = 1_000_000
"""Bytes of one event of a stream; a longer one, or a line that never ends, ends the answer with an error."""
REDIRECTS = 3
STOP_POLL_SECONDS = 0.02
"""How often a stop is looked for while nothing arrives."""
_PORTS = {"http": 80, "https": 443}


class Connection:
    """The clients of one server."""

    def __init__(self, address: ServerAddress, credentials: Credentials) -> None:
        self.address, self.credentials = address, credentials
        options: dict[str, Any] = {
            "headers": {"User-Agent": "trt-playground", **credentials.headers},
            "trust_env": not address.is_loopback,
            "follow_redirects": False,
            # Made once: reading the system's certificates takes longer than a request.
            "verify": httpx2.create_ssl_context() if address.root.startswith("https:") else False,
        }
        self._client = httpx2.Client(
            timeout=httpx2.Timeout(SMALL_SECONDS, connect=CONNECT_SECONDS), **options
        )
        self._loop = asyncio.new_event_loop()
        """Reads all streams, in its own thread."""
        self._reader = threading.Thread(target=self._loop.run_forever, daemon=True, name="streams")
        self._reader.start()
        # The first token may take minutes: a long prompt, a model that is loaded, a queue.
        self._streams = httpx2.AsyncClient(timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS), **options)

    @property
    def host(self) -> str:
        """Host and port, as shown."""
        return self.address.host

    def close(self) -> None:
        """Close every connection."""
        self._client.close()
        asyncio.run_coroutine_threadsafe(self._streams.aclose(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._reader.join()
        self._loop.close()

    def get(self, path: str) -> Any:
        """Return the JSON at a path under the root; raises as `request`."""
        return self.json("GET", path)[0]

    def post(self, path: str, body: dict[str, object], seconds: float = SMALL_SECONDS) -> Any:
        """Send JSON and return the JSON of the answer; raises as `request`."""
        return self.json("POST", path, body, seconds)[0]

    def json(
        self, method: str, path: str, body: dict[str, object] | None = None, seconds: float = SMALL_SECONDS
    ) -> tuple[Any, httpx2.Headers]:
        """Return the JSON of an answer, and its headers; raises as `request`, and `not-an-api`."""
        data, headers = self.request(method, path, body, seconds)
        try:
            return json.loads(data), headers
        except (ValueError, RecursionError):
            kind = headers.get("content-type", "").partition(";")[0] or "text"
            raise not_an_api(self.host, f"it sent {kind[:80]} instead of JSON") from None

    def text(self, path: str) -> str:
        """Return the text at a path; raises as `request`."""
        return self.request("GET", path)[0].decode("utf-8", "replace")

    def request(
        self, method: str, path: str, body: dict[str, object] | None = None, seconds: float = SMALL_SECONDS
    ) -> tuple[bytes, httpx2.Headers]:
        """Return the body and the headers of an answer. Safe to call from any thread.

        Raises:
            EngineError: no complete answer, an error status (`StatusError`), a redirect to another host, or a
                body over LARGEST_BODY.
        """
        url = f"{self.address.root}{path}"
        for _ in range(REDIRECTS):
            with self._explained():
                timeout = httpx2.Timeout(seconds, connect=CONNECT_SECONDS)
                with self._client.stream(method, url, json=body, timeout=timeout) as response:
                    following = self._redirect(response)
                    if following is None:
                        return self._body(response), response.headers
                    url = following
        raise not_an_api(self.host, "it redirects in a circle")

    def _body(self, response: httpx2.Response) -> bytes:
        data = bytearray()
        for part in response.iter_bytes():
            data += part
            if response.is_error and len(data) > LARGEST_MESSAGE:
                break
            if len(data) > LARGEST_BODY:
                raise not_an_api(self.host, f"its answer is larger than {LARGEST_BODY:,} bytes")
        if response.is_error:
            raise self._status_failure(response, bytes(data))
        return bytes(data)

    def run(
        self,
        path: str,
        body: dict[str, object],
        take: Callable[[httpx2.Response], AsyncIterator[None]],
        stopped: Callable[[], bool],
    ) -> bool:
        """Send a request and let `take` read the streamed answer, until it ends or is stopped.

        Called from any thread; `take` and `stopped` are called in the thread that reads all streams.

        Returns:
            Whether it was stopped. The connection is then closed, by which servers notice it.

        Raises:
            EngineError: as `request`; a StatusError before anything was read.
        """

        async def stream() -> None:
            url = f"{self.address.root}{path}"
            for _ in range(REDIRECTS):
                async with self._streams.stream("POST", url, json=body) as response:
                    following = self._redirect(response)
                    if following is None:
                        await self._refuse_status(response)
                        async for _ in take(response):
                            if stopped():
                                return
                        return
                    url = following
            raise not_an_api(self.host, "it redirects in a circle")

        async def until_stopped() -> bool:
            task = asyncio.create_task(stream())
            while not task.done():
                await asyncio.wait([task], timeout=STOP_POLL_SECONDS)
                if stopped() and not task.done():
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError, httpx2.HTTPError):
                        await task
                    return True
            task.result()
            return stopped()

        with self._explained():
            return asyncio.run_coroutine_threadsafe(until_stopped(), self._loop).result()

    async def _refuse_status(self, response: httpx2.Response) -> None:
        if not response.is_error:
            return
        data = bytearray()
        async for part in response.aiter_bytes():
            data += part
            if len(data) > LARGEST_MESSAGE:
                break
        raise self._status_failure(response, bytes(data))

    def _status_failure(self, response: httpx2.Response, body: bytes) -> EngineError:
        cleaned = self.credentials.removed_from(body.decode("utf-8", "replace")).encode()
        return status_failure(response, cleaned, self.host, has_key=self.credentials.has_key)

    def _redirect(self, response: httpx2.Response) -> str | None:
        """Return where a response sends the request on to, on the same host; None if it does not.

        Raises:
            EngineError: `redirected`.
        """
        location = response.headers.get("location")
        if not 300 <= response.status_code < 400 or not location:
            return None
        following = urljoin(str(response.request.url), location)
        if _origin(following) != _origin(str(response.request.url)):
            raise redirected(self.host, following)
        return following

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except httpx2.HTTPError as error:
            # Not chained: its request object has the headers.
            raise transport_failure(error, self.host) from None
        except (httpx2.InvalidURL, UnicodeError):
            raise not_an_api(self.host, "its address cannot be requested") from None


def _origin(url: str) -> tuple[str, str, int | None]:
    try:
        parts = urlsplit(url)
        return parts.scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return "", "", None


async def lines(response: httpx2.Response) -> AsyncIterator[str]:
    """Yield the lines of an answer that is one JSON object a line (Ollama's own API), bounded.

    Raises:
        httpx2.SSEError: a line is longer than LARGEST_EVENT.
    """
    pending = bytearray()
    async for part in response.aiter_bytes():
        pending += part
        *complete, rest = pending.split(b"\n")
        pending = bytearray(rest)
        for line in complete:
            if line.strip():
                yield line.decode("utf-8", "replace")
        if len(pending) > LARGEST_EVENT:
            raise httpx2.SSEError(f"A line exceeded {LARGEST_EVENT} bytes.")
    if pending.strip():
        yield pending.decode("utf-8", "replace")
