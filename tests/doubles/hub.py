"""A double of the Hugging Face Hub's HTTP API: models in folders, served to the real huggingface_hub.

It answers what the client asks for searches, descriptions, file lists and downloads, with the headers that
the client reads, and counts the bytes that it sends of each file. As the hub does, it redirects weights to
another host. It can hang, cut connections, name wrong checksums, and be gated.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.doubles.hub_model import Model as Model

CHUNK = 1 << 16


class HubDouble:
    """The models, the faults, and what was sent."""

    def __init__(self) -> None:
        self.models: dict[str, Model] = {}
        self.sent: Counter[str] = Counter()
        """Bytes of the body by file, of GET requests only."""
        self.ranges: list[tuple[str, int]] = []
        """File and first byte of each GET request of a file."""
        self.requests: list[str] = []
        """Method and path of each request."""
        self.stop_after: dict[str, int] = {}
        """The connection hangs once this many bytes of a file were sent in one answer, until `release`."""
        self.cut_after: dict[str, int] = {}
        """The connection is closed once this many bytes of a file were sent in one answer."""
        self.ignores_ranges = False
        self.leaked = 0
        """Requests to the other host that carried the token."""
        self.answers: dict[str, bytes] = {}
        """Replaces the body of the answer to a path."""
        self.missing: set[str] = set()
        """Method and path of requests that are answered with 404."""
        self.status: int | None = None
        """Answer everything with this status."""
        self._released = threading.Event()
        self._lock = threading.Lock()

    def add(self, hub_id: str, folder: Path, **facts: Any) -> Model:
        """Serve the files of a folder as a model."""
        self.models[hub_id] = Model(hub_id, folder, **facts)
        return self.models[hub_id]

    def release(self) -> None:
        """Let connections that hang go on, and no others hang."""
        self.stop_after.clear()
        self._released.set()

    def count(self, name: str, sent: int) -> None:
        """Count bytes of a file."""
        with self._lock:
            self.sent[name] += sent

    def wait(self) -> None:
        """Wait for `release`."""
        self._released.wait(120)


@contextmanager
def running_hub() -> Iterator[tuple[HubDouble, str]]:
    """Start the double; gives it and its address."""
    hub = HubDouble()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        hub.release()
        server.shutdown()
        server.server_close()
        thread.join()


def use_endpoint(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Set the hub's address for workers, and for this process, where it was read at the import already."""
    from huggingface_hub import constants

    monkeypatch.setenv("HF_ENDPOINT", address)
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


class _Handler(BaseHTTPRequestHandler):
    hub: HubDouble
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        url = urlsplit(self.path)
        path = unquote(url.path).strip("/")
        self.hub.requests.append(f"{self.command} {path}")
        if self.hub.status is not None:
            self._fail(self.hub.status, "")
        elif f"{self.command} {path}" in self.hub.missing:
            self._fail(404, "EntryNotFound")
        elif path in self.hub.answers:
            self._send(self.hub.answers[path])
        elif path == "api/models":
            self._search(parse_qs(url.query))
        elif path.startswith("api/models/"):
            self._describe(path.removeprefix("api/models/"), parse_qs(url.query))
        elif found := re.fullmatch(r"([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._resolve(*found.groups(), with_body=with_body)
        elif found := re.fullmatch(r"cdn/([^/]+/[^/]+)/(.+)", path):
            self.hub.leaked += "Authorization" in self.headers
            self._send_file(self.hub.models[found[1]], found[2], with_body=with_body)
        else:
            self._fail(404, "")

    def _search(self, query: Mapping[str, list[str]]) -> None:
        text = query.get("search", [""])[0].lower()
        found = [one for one in self.hub.models.values() if text in one.hub_id.lower()]
        found.sort(key=lambda one: -one.downloads)
        self._send_json([one.described() for one in found[: int(query.get("limit", ["100"])[0])]])

    def _describe(self, path: str, query: Mapping[str, list[str]]) -> None:
        hub_id, rest = "/".join(path.split("/")[:2]), path.split("/")[2:]
        model = self.hub.models.get(hub_id)
        if model is None:
            self._fail(404, "RepoNotFound")
        elif len(rest) == 2 and rest[1] not in ("main", model.commit):
            self._fail(404, "RevisionNotFound")
        elif rest[:1] == ["tree"]:
            self._send_json(model.tree())
        else:
            with_files = {"siblings": model.siblings()} if "blobs" in query else {}
            self._send_json(model.described() | with_files)

    def _resolve(self, hub_id: str, revision: str, name: str, *, with_body: bool) -> None:
        model = self.hub.models.get(hub_id)
        if model is None:
            self._fail(404, "RepoNotFound")
        elif revision not in ("main", model.commit):
            self._fail(404, "RevisionNotFound")
        elif name not in model.files:
            self._fail(404, "EntryNotFound")
        elif model.gated and "Authorization" not in self.headers:
            self._fail(403, "GatedRepo")
        elif model.is_lfs(name):
            self._redirect(model, name)
        else:
            self._send_file(model, name, with_body=with_body)

    def _redirect(self, model: Model, name: str) -> None:
        self.send_response(302)
        self._send_metadata(model, name)
        port = self.server.server_address[1]
        self.send_header("Location", f"http://localhost:{port}/cdn/{model.hub_id}/{name}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send_metadata(self, model: Model, name: str) -> None:
        self.send_header("ETag", f'"{model.digest(name)}"')
        self.send_header("X-Repo-Commit", model.commit)
        if model.is_lfs(name):
            self.send_header("X-Linked-ETag", f'"{model.digest(name)}"')
            self.send_header("X-Linked-Size", str(len(model.files[name])))

    def _send_file(self, model: Model, name: str, *, with_body: bool) -> None:
        data = model.files[name]
        start, stop = self._range(len(data))
        is_part = (start, stop) != (0, len(data)) or ("Range" in self.headers and not self.hub.ignores_ranges)
        self.send_response(206 if is_part else 200)
        if is_part:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        self._send_metadata(model, name)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        if with_body:
            self.hub.ranges.append((name, start))
            self._send_bytes(name, data[start:stop])

    def _range(self, size: int) -> tuple[int, int]:
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if found is None or self.hub.ignores_ranges:
            return 0, size
        return int(found[1]), min(size, int(found[2]) + 1 if found[2] else size)

    def _send_bytes(self, name: str, data: bytes) -> None:
        """Send `data`, with the faults that are set for the file; a client that leaves ends it."""
        stop, cut = self.hub.stop_after.get(name), self.hub.cut_after.get(name)
        limit = min(len(data), stop or len(data), cut or len(data))
        try:
            for at in range(0, limit, CHUNK):
                part = data[at : min(at + CHUNK, limit)]
                self.wfile.write(part)
                self.hub.count(name, len(part))
            if limit < len(data) and stop is not None:
                self.wfile.flush()
                self.hub.wait()
        except OSError:
            pass
        if limit < len(data):
            self.close_connection = True

    def _send_json(self, value: object) -> None:
        self._send(json.dumps(value).encode())

    def _send(self, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _fail(self, status: int, code: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()
