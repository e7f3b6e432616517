"""What all OpenAI-compatible servers have in common; a kind of server overrides what it does differently."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import httpx2

from engines.backends.base import Scores
from engines.backends.endpoint.chat_stream import Reading, read_chat
from engines.backends.endpoint.connection import Connection
from engines.backends.remote import Conversation, Counted, Messages
from engines.build.server import no_scores
from engines.errors import EngineError
from engines.worker.protocol import KVUsage, Sampling, ServerFacts

_PRECISION_IN_NAME = re.compile(
    r"(?:^|[-_./: ])(nvfp4|mxfp4|fp8|fp16|bf16|fp32|f16|f32|int8|int4|w4a16|w8a8|awq|gptq|bnb|"
    r"i?q[2-8]_[a-z0-9_]+)(?=$|[-_./: ])",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Listing:
    """What a server's list of models says."""

    version: str
    """Path of the API, such as `/v1`."""
    entries: tuple[dict[str, Any], ...]
    headers: httpx2.Headers

    @property
    def owners(self) -> frozenset[str]:
        """Values of `owned_by`, in lower case."""
        return frozenset(str(one.get("owned_by", "")).lower() for one in self.entries)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the models."""
        return tuple(str(one["id"]) for one in self.entries)

    def entry(self, model: str) -> dict[str, Any]:
        """Return the entry of a model; an empty one if it is not listed."""
        return next((one for one in self.entries if one["id"] == model), {})


class Dialect:
    """An OpenAI-compatible server of unknown kind."""

    title: ClassVar[str] = "OpenAI-compatible server"
    owners: ClassVar[frozenset[str]] = frozenset()
    """What it writes as the owner of its models, in lower case."""
    ignored: ClassVar[tuple[str, ...]] = ()
    """Fields of Sampling that it does not have, or silently ignores."""
    chooses_context: ClassVar[bool] = False
    """Whether each request says how long the context window is to be."""
    template_variables: tuple[str, ...] = ()
    """Variables about thinking that the chat template reads; set by `describe` where it is known."""
    counts_each_chunk: ClassVar[bool] = False
    """Whether it sends the number of tokens with every chunk if it is asked to."""
    lists_all: ClassVar[bool] = True
    """Whether it has no other models than those in its list."""
    streams_stop: ClassVar[bool] = False
    """Whether it ends a streamed answer with the stop string that was found."""
    all_tokens: ClassVar[int | None] = None
    """Its `top_k` for all tokens, if it takes the fields outside OpenAI's API; None if that is not known."""
    chat_path: ClassVar[str] = "/chat/completions"
    """Below the version path; with a leading `//` below the root."""

    def __init__(self, connection: Connection) -> None:
        self.http = connection

    def recognises(self, listing: Listing) -> bool:
        """Return whether the server is of this kind; may ask it."""
        return bool(self.owners & listing.owners)

    def describe(self, facts: ServerFacts, listing: Listing) -> ServerFacts:
        """Return the facts with what this kind of server reports; raises as `Connection.request`."""
        entry = listing.entry(facts.model)
        return replace(facts, context=number(entry.get("max_model_len")), counts="usage")

    def body(self, conversation: Conversation, facts: ServerFacts) -> dict[str, object]:
        """Return the request. Sampling is always explicit, because the defaults of servers differ."""
        sampling = conversation.sampling
        body: dict[str, object] = {
            "model": facts.model,
            "messages": list(conversation.messages),
            "stream": True,
            "stream_options": self.stream_options(),
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
        }
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if conversation.template_arguments:
            body["chat_template_kwargs"] = conversation.template_arguments
        return body | self.sampling_fields(sampling)

    def stream_options(self) -> dict[str, object]:
        """Return the request's `stream_options`."""
        options: dict[str, object] = {"include_usage": True}
        return options | {"continuous_usage_stats": True} if self.counts_each_chunk else options

    def sampling_fields(self, sampling: Sampling) -> dict[str, object]:
        """Return the fields outside OpenAI's API."""
        fields: dict[str, object] = {
            "min_p": sampling.min_p,
            "repetition_penalty": sampling.repetition_penalty,
        }
        if self.all_tokens is not None:
            return fields | {"top_k": sampling.top_k or self.all_tokens, "ignore_eos": sampling.ignore_eos}
        if sampling.top_k:  # "all tokens" is 0 for some servers and -1 for others
            fields["top_k"] = sampling.top_k
        if sampling.ignore_eos:
            fields["ignore_eos"] = True
        return fields

    def version(self) -> str:
        """Return what `/version` says, as vLLM and TensorRT-LLM have it; empty if there is nothing."""
        with suppress(EngineError):
            return text(self.http.get("/version").get("version"))
        return ""

    def read(self, response: httpx2.Response, reading: Reading) -> AsyncIterator[None]:
        """Read a streamed answer; see `read_chat`."""
        return read_chat(response, reading)

    def usage(self) -> KVUsage | None:
        """Return use of the KV cache and running requests; None if the server does not report it.

        Raises:
            EngineError: it could not be asked now.
        """
        return None

    def count(self, facts: ServerFacts, messages: Messages, texts: Sequence[str]) -> Counted:
        """Return lengths by the server's tokenizer.

        Raises:
            EngineError: `unsupported`, or as `Connection.request`.
        """
        del messages, texts
        raise EngineError("unsupported", f"{facts.kind} does not count tokens.")

    def count_answer(self, facts: ServerFacts, text: str) -> int:
        """Return the tokens of an answer's text, raises as `count`."""
        return self.count(facts, (), (text,)).texts[0]

    def token_ids(self, facts: ServerFacts, text: str) -> tuple[int, ...]:
        """Return a text as token ids, without special tokens; raises as `count`."""
        del text
        raise EngineError("unsupported", f"{facts.kind} does not return token ids.")

    def score(self, facts: ServerFacts, token_ids: Sequence[int], top_k: int) -> Scores:
        """Return log-probabilities of given tokens, with the `top_k` most likely ones.

        Raises:
            EngineError: `unsupported`, or as `Connection.request`.
        """
        del token_ids, top_k
        raise no_scores(facts)

    def api(self, facts: ServerFacts, path: str) -> str:
        """Return a path of the API below the root."""
        if path.startswith("//"):
            return path[1:]
        return f"{facts.address.removeprefix(self.http.address.root)}{path}"


def number(value: object) -> int:
    """Return a positive whole number, or 0 for anything else."""
    return value if type(value) is int and 0 < value < 1 << 31 else 0


def count(value: object) -> int | None:
    """Return a whole number from 0, or None for anything else: what is not reported is not none."""
    return value if type(value) is int and 0 <= value < 1 << 31 else None


def token_list(value: object) -> tuple[int, ...]:
    """Return a list of token ids; an empty one for anything else."""
    if isinstance(value, list) and all(type(one) is int and 0 <= one < 1 << 31 for one in value):
        return tuple(value)
    return ()


def text(value: object, most: int = 80) -> str:
    """Return a short text in one line; empty for anything else."""
    return " ".join(value.split())[:most] if isinstance(value, str) else ""


def precision_in_name(name: str) -> str:
    """Return the precision that a model's name contains, such as `AWQ` or `Q4_K_M`; empty if none."""
    found = _PRECISION_IN_NAME.findall(name.removesuffix(".gguf"))
    return found[-1] if found else ""


def with_precision(facts: ServerFacts, precision: str, source: str) -> ServerFacts:
    """Return the facts with a precision, or else with that in the model's name."""
    if precision:
        return replace(facts, precision=precision, precision_source=source)
    if named := precision_in_name(facts.model):
        return replace(facts, precision=named, precision_source="the model's name")
    return facts
