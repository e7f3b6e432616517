"""The pre-flight: reach a server, list its models, and find out from its answers which program it is."""

from __future__ import annotations

from typing import Any

from engines.backends.endpoint.connection import Connection
from engines.backends.endpoint.dialects.desktop import LMStudio, OpenVINOModelServer
from engines.backends.endpoint.dialects.dialect import Dialect, Listing
from engines.backends.endpoint.dialects.llama_server import LlamaServer
from engines.backends.endpoint.dialects.nvidia import EdgeLLM, TensorRTLLM, Triton
from engines.backends.endpoint.dialects.ollama import Ollama
from engines.backends.endpoint.dialects.sglang import SGLang
from engines.backends.endpoint.dialects.transformers_serve import TransformersServe
from engines.backends.endpoint.dialects.vllm import NIM, VLLM
from engines.backends.endpoint.failures import StatusError, not_an_api
from engines.errors import EngineError
from engines.worker.protocol import ServerFacts
from engines.worker.values import MOST_MODELS

DIALECTS: tuple[type[Dialect], ...] = (
    LlamaServer, NIM, VLLM, TensorRTLLM, SGLang, Triton, EdgeLLM, LMStudio, OpenVINOModelServer, Ollama,
    TransformersServe,
)  # fmt: skip
"""In the order in which they are tried: NIM before vLLM, whose models have the same owner."""
TRIED_VERSIONS = ("/v1", "/v3")
NAME_CHARACTERS = 300


def detect(http: Connection, model: str) -> tuple[Dialect, ServerFacts]:
    """Return how to talk to a server, and what it reports.

    Args:
        model: the wanted one; empty for the first that is listed.

    Raises:
        EngineError: the server cannot be used, or does not have the model.
    """
    listing = list_models(http)
    dialect = next((found for kind in DIALECTS if (found := kind(http)).recognises(listing)), Dialect(http))
    facts = ServerFacts(
        kind=dialect.title,
        address=f"{http.address.root}{listing.version}",
        model=_chosen(http, listing, model, lists_all=dialect.lists_all),
        models=listing.names[:MOST_MODELS],
    )
    return dialect, dialect.describe(facts, listing)


def list_models(http: Connection) -> Listing:
    """Return the list of models, at the path that the address names or else at the usual ones.

    Raises:
        EngineError: as `Connection.request`; `not-an-api`.
    """
    given = http.address.version
    versions = (given,) if given else TRIED_VERSIONS
    for version in versions:
        try:
            data, headers = http.json("GET", f"{version}/models")
        except StatusError as error:
            if error.status == 404 and version != versions[-1]:
                continue
            if error.status == 404:
                raise not_an_api(http.host, f"it has no list of models at {version}/models") from None
            raise
        return Listing(version, _entries(http, data), headers)
    raise AssertionError


def _entries(http: Connection, data: Any) -> tuple[dict[str, Any], ...]:
    found = data.get("data") if isinstance(data, dict) else None
    if not isinstance(found, list):
        raise not_an_api(http.host, "its list of models has another form")
    return tuple(
        one
        for one in found
        if isinstance(one, dict) and isinstance(one.get("id"), str) and 0 < len(one["id"]) <= NAME_CHARACTERS
    )


def _chosen(http: Connection, listing: Listing, model: str, *, lists_all: bool) -> str:
    """Return the name of the model to ask.

    Raises:
        EngineError: `no-model`: the server lists models, and not this one; or none at all.
    """
    if not listing.names:
        if model:
            return model
        raise EngineError(
            "no-model", f"{http.host} lists no model.", "Load one there, or type the name of one."
        )
    if not model or model in listing.names:
        return model or listing.names[0]
    ends = [name for name in listing.names if name.replace("\\", "/").rpartition("/")[2] == model]
    if len(ends) == 1:  # llama-server lists the path of its file
        return ends[0]
    if not lists_all:
        return model
    names = ", ".join(listing.names[:5]) + (" …" if len(listing.names) > 5 else "")
    raise EngineError(
        "no-model", f"{http.host} has no model {model!r}.", f"Choose one that it lists: {names}."
    )
