"""Ask a server with the endpoint's own classes, in this process."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from engines.backends.endpoint.backend import EndpointBackend
from engines.backends.remote import Conversation, Ended, Piece, Started
from engines.build.server import server_spec
from engines.worker.protocol import Sampling
from tests.doubles.recording_report import RecordingReport

QUESTION = ({"role": "user", "content": "What is a KV cache?"},)
LONG = (
    {"role": "user", "content": "one"},
    {"role": "assistant", "content": "1"},
    {"role": "user", "content": "two"},
)


@dataclass
class Heard:
    """What came back."""

    started: list[Started] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    ended: Ended | None = None

    @property
    def text(self) -> str:
        """Of the answer."""
        return "".join(one.text for one in self.pieces)

    @property
    def thought(self) -> str:
        """Of the thoughts."""
        return "".join(one.thought for one in self.pieces)

    @property
    def end(self) -> Ended:
        """The end, which must have come."""
        assert self.ended
        return self.ended


@contextmanager
def connected(address: str, **options: object):  # type: ignore[no-untyped-def]
    """Yield a backend that has connected to a server."""
    backend = EndpointBackend()
    try:
        spec = server_spec(address, **options)  # type: ignore[arg-type]
        backend.load(spec, Path(), None, RecordingReport())
        yield backend
    finally:
        backend.close()


def ask(
    backend: EndpointBackend,
    messages: tuple[dict[str, str], ...] = QUESTION,
    sampling: Sampling | None = None,
    stopped: Callable[[Heard], bool] = lambda _: False,
    *,
    heard: Heard | None = None,
    trim: bool = False,
) -> Heard:
    """Ask a question and return all that came back."""
    heard = heard or Heard()
    conversation = Conversation(messages, sampling or Sampling(max_tokens=64), trim)
    heard.ended = backend.answer(
        conversation, heard.started.append, heard.pieces.append, lambda: stopped(heard)
    )
    return heard
