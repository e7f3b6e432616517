"""LM Studio and OpenVINO Model Server."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar

from engines.backends.endpoint.connection import Connection
from engines.backends.endpoint.dialects.dialect import Dialect, Listing, number, text, with_precision
from engines.backends.endpoint.prometheus import Metrics
from engines.errors import EngineError
from engines.worker.protocol import KVUsage, Sampling, ServerFacts


class LMStudio(Dialect):
    """LM Studio."""

    title: ClassVar[str] = "LM Studio"
    owners: ClassVar[frozenset[str]] = frozenset({"organization_owner"})
    ignored: ClassVar[tuple[str, ...]] = ("min_p", "ignore_eos")

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._models: list[dict[str, Any]] = []

    def recognises(self, listing: Listing) -> bool:
        """Ask for its own list of models, of either version of its API."""
        if not super().recognises(listing):
            return False
        for path, name in (("/api/v1/models", "models"), ("/api/v0/models", "data")):
            with suppress(EngineError):
                found = self.http.get(path)
                models = found.get(name) if isinstance(found, dict) else None
                if isinstance(models, list):
                    self._models = [one for one in models if isinstance(one, dict)]
                    return True
        return False

    def describe(self, facts: ServerFacts, listing: Listing) -> ServerFacts:
        """Return the quantisation, and the context window of the loaded instance."""
        entry = next((one for one in self._models if facts.model in (one.get("key"), one.get("id"))), {})
        quantisation = entry.get("quantization")
        stored = quantisation.get("name") if isinstance(quantisation, dict) else quantisation
        facts = replace(facts, context=_loaded_context(entry), counts="usage")
        return with_precision(facts, text(stored), "its own list of models")

    def sampling_fields(self, sampling: Sampling) -> dict[str, object]:
        """Return its fields."""
        fields: dict[str, object] = {"repeat_penalty": sampling.repetition_penalty}
        if sampling.top_k:
            fields["top_k"] = sampling.top_k
        return fields


def _loaded_context(entry: dict[str, Any]) -> int:
    instances = entry.get("loaded_instances")
    for one in instances if isinstance(instances, list) else ():
        config = one.get("config") if isinstance(one, dict) else None
        if isinstance(config, dict) and number(config.get("context_length")):
            return number(config.get("context_length"))
    return number(entry.get("loaded_context_length")) or number(entry.get("max_context_length"))


class OpenVINOModelServer(Dialect):
    """OpenVINO Model Server: its API is below /v3.

    A text is not scored with its `echo`: the answer has the log-probability of each given token, in the place
    of the most likely one too, so that neither a KL divergence nor another top token can be seen.
    """

    title: ClassVar[str] = "OpenVINO Model Server"
    owners: ClassVar[frozenset[str]] = frozenset({"ovms"})
    streams_stop: ClassVar[bool] = True
    """It refuses `include_stop_str_in_output: false` with `stream`."""
    ignored: ClassVar[tuple[str, ...]] = ("min_p",)

    def recognises(self, listing: Listing) -> bool:
        """Look at the owner of the models, and at the path."""
        return super().recognises(listing) or listing.version == "/v3"

    def describe(self, facts: ServerFacts, listing: Listing) -> ServerFacts:
        """Return its version; it does not report the precision."""
        version = ""
        with suppress(EngineError):
            version = text(self.http.get("/v2").get("version"))
        facts = replace(facts, version=version, counts="usage", metrics="/metrics")
        return with_precision(facts, "", "")

    def sampling_fields(self, sampling: Sampling) -> dict[str, object]:
        """Return its fields."""
        fields: dict[str, object] = {
            "repetition_penalty": sampling.repetition_penalty,
            "ignore_eos": sampling.ignore_eos,
        }
        if sampling.top_k:
            fields["top_k"] = sampling.top_k
        return fields

    def usage(self) -> KVUsage | None:
        """Return the running requests, if its metrics are on; the cache is only in its log."""
        running = Metrics(self.http.text("/metrics")).count("ovms_current_requests", "ovms_current_graphs")
        return None if running is None else KVUsage(running=running)
