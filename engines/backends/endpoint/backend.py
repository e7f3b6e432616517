"""Any OpenAI-compatible server as an engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib import metadata
from typing import ClassVar

from engines.backends.base import Availability, Report, Scores, Stopped
from engines.backends.endpoint.answering import Answering
from engines.backends.endpoint.batch import open_streams
from engines.backends.endpoint.connection import Connection
from engines.backends.endpoint.credentials import read_credentials
from engines.backends.endpoint.detect import detect
from engines.backends.endpoint.dialects.dialect import Dialect
from engines.backends.endpoint.failures import RETRIED, StatusError
from engines.backends.remote import Conversation, Counted, Ended, Messages, Piece, RemoteBackend, Started
from engines.backends.stream_batch import StreamBatch
from engines.build.server import MODEL, parse_address
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.worker.logprob_rows import RowReader, RowWriter
from engines.worker.protocol import KVUsage, ServerFacts

LOADING_SECONDS = 600.0
"""How long to wait for a server that loads its model: 70B weights from a slow disk take minutes."""
LOADING_POLL = 1.0
METRICS_SECONDS = 0.5
"""Shortest time between two looks at the metrics."""


class EndpointBackend(RemoteBackend):
    """An engine on a server."""

    name: ClassVar[str] = "endpoint"
    title: ClassVar[str] = "Server"
    load_stages: ClassVar[tuple[str, ...]] = ("connect",)

    def __init__(self) -> None:
        self._http: Connection | None = None
        self._dialect: Dialect | None = None
        self._answering: Answering | None = None
        self._usage: KVUsage | None = None
        self._looked = 0.0
        """When the metrics were asked last, in monotonic seconds."""

    @classmethod
    def probe(cls) -> Availability:
        """Return the version of the HTTP client."""
        return Availability(True, {"httpx2": metadata.version("httpx2")}, devices=("cpu",))

    def contact(self, spec: EngineSpec) -> ServerFacts:
        """Ask once, without waiting for a model that is being loaded."""
        self._detect(spec)
        return self.facts

    def connect(self, spec: EngineSpec, report: Report) -> None:
        """Ask until the server has loaded its model."""
        until, said = time.monotonic() + LOADING_SECONDS, ""
        while True:
            try:
                self._detect(spec)
                break
            except StatusError as error:
                if error.status not in RETRIED or time.monotonic() > until:
                    raise
                if error.message != said:
                    said = error.message
                    report.log(f"waiting: {said}")
                time.sleep(error.retry_after or LOADING_POLL)
        for note in self.facts.notes:
            report.log(note)
        assert self._http
        assert self._dialect
        self._answering = Answering(self._http, self._dialect, self.facts, report.log)
        self.context_tokens = self.facts.context
        self.ignored_sampling = self._dialect.ignored
        self.template_variables = self._dialect.template_variables

    def _detect(self, spec: EngineSpec) -> None:
        if self._http is None:
            self._http = Connection(parse_address(spec.checkpoint), read_credentials(spec))
        self._dialect, facts = detect(self._http, spec.options.get(MODEL, ""))
        if self._dialect.chooses_context:
            window = min(spec.context, facts.context or spec.context)
            facts = replace(facts, context=window)
        self.facts = facts

    def answer(
        self,
        conversation: Conversation,
        begin: Callable[[Started], None],
        take: Callable[[Piece], None],
        stopped: Stopped,
    ) -> Ended:
        """Ask the server; see `Answering.answer`."""
        assert self._answering
        ended = self._answering.answer(conversation, begin, take, stopped)
        self._looked = 0.0
        return ended

    def open_batch(self, users: int, kv_tokens: int, report: Report) -> StreamBatch:
        """Send several requests at once; the server decides how many run together."""
        del users, kv_tokens, report
        assert self._answering
        return open_streams(self._answering, self.kv_usage)

    def count(self, messages: Messages, texts: Sequence[str]) -> Counted:
        """Count with the server's tokenizer."""
        assert self._dialect
        return self._dialect.count(self.facts, messages, texts)

    def token_ids(self, text: str) -> tuple[int, ...]:
        """Ask the server's tokenizer."""
        assert self._dialect
        return self._dialect.token_ids(self.facts, text)

    def score(
        self,
        token_ids: Sequence[int],
        top_k: int = 0,
        reference: RowReader | None = None,
        keep: RowWriter | None = None,
    ) -> Scores:
        """Return the server's log-probabilities of given tokens.

        Without divergences, also with `reference`: they need the whole vocabulary, and a server returns the
        most likely tokens only, from which a lower bound is computed.
        """
        assert self._dialect
        if keep is not None:
            raise EngineError(
                "unsupported",
                f"{self.facts.kind} does not return the whole vocabulary.",
                "Choose an engine on this machine as the reference.",
            )
        del reference
        return self._dialect.score(self.facts, token_ids, top_k)

    def kv_usage(self) -> KVUsage | None:
        """Return what the server's metrics said at most METRICS_SECONDS ago. Called from any thread."""
        if self._dialect is None or not self.facts.metrics:
            return None
        if time.monotonic() - self._looked > METRICS_SECONDS:
            self._looked = time.monotonic()
            with suppress(EngineError):  # a busy server answers late; the last figures stay
                self._usage = self._dialect.usage()
        return self._usage

    def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            self._http.close()
            self._http = None
