"""Where an engine is that runs on a server: its address, its model, and where its key is found.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.worker.values import ServerFacts

REMOTE = "endpoint"
"""The backend whose engines run on servers; the checkpoint of its specs is a base URL."""
SERVED = "served"
"""The precision of its specs: the server decides it."""
MODEL, KEY, HEADERS = "model", "key", "headers"
"""Its options: the model's name, the source of the key, and header lines."""
KIND, REPORTED_PRECISION = "server", "reported precision"
"""Options of a spec whose server has answered: which program it is, and the precision that it reports."""
VERSIONS = ("/v1", "/v2", "/v3")
"""Ends of a base URL: most servers have /v1, OpenVINO Model Server has /v3."""
_CALLS = ("/chat/completions", "/completions", "/models", "/api/chat", "/api/generate")
"""Ends of URLs that people copy from documentation."""
SOURCES = ("env", "file", "keyring")
_SECRET_WORDS = ("auth", "key", "token", "cookie", "secret", "password", "credential")
"""Headers with one of these in their name hold credentials."""
_SECRET_BEGINNINGS = ("bearer ", "basic ", "sk-", "nvapi-", "hf_", "ghp_", "eyj")
"""Beginnings of credentials; `eyj` is that of a JSON Web Token."""
_NEXT_HEADER = re.compile(r",\s*(?=[\w-]+\s*[=:])")
"""Between two headers in one line; a value may have a comma."""


@dataclass(frozen=True)
class ServerAddress:
    """The base URL of a server."""

    root: str
    """Scheme, host, port and the path in front of the version, without a slash at the end."""
    version: str
    """One of VERSIONS as the user gave it; empty if it is to be found."""

    @property
    def base(self) -> str:
        """The base URL."""
        return f"{self.root}{self.version}"

    @property
    def host(self) -> str:
        """Host and port, for the screen."""
        return urlsplit(self.root).netloc

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine, which needs no proxy."""
        name = urlsplit(self.root).hostname or ""
        if name == "localhost" or name.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False


def parse_address(text: str) -> ServerAddress:
    """Return the address that a user typed: with or without http://, a version path or a slash.

    Raises:
        EngineError: `bad-address`.
    """
    given = text.strip()
    try:
        parts = urlsplit(given if "://" in given else f"http://{given}")
        port = parts.port
    except ValueError:
        raise _bad(given, "it is not a URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _bad(given, "it is not an http or https URL")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise EngineError(
            "bad-address",
            "An address with a user name, a password or a query is not used: it would be saved and shown.",
            "Give the key as env:NAME, file:PATH or keyring:NAME.",
        )
    if any(not one.isprintable() or one.isspace() for one in given):
        raise _bad(given, "it has spaces or control characters")
    path = parts.path.rstrip("/")
    for call in _CALLS:
        path = path.removesuffix(call)
    version = next((one for one in VERSIONS if path.endswith(one)), "")
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    root = f"{parts.scheme}://{name}{f':{port}' if port else ''}{path.removesuffix(version)}"
    return ServerAddress(root, version)


def _bad(text: str, why: str) -> EngineError:
    return EngineError(
        "bad-address",
        f"{text[:200]!r} is not the address of a server: {why}.",
        "Give its base URL, such as http://127.0.0.1:8000/v1.",
    )


def check_source(source: str) -> None:
    """Refuse a source of a key that is none: a key itself must not come into our files.

    Raises:
        EngineError: `bad-key-source`; the message does not repeat what was given.
    """
    kind, _, name = source.partition(":")
    if source and (kind not in SOURCES or not name):
        raise EngineError(
            "bad-key-source",
            "The key itself is not accepted, because it would be saved.",
            "Name where it is: env:NAME (an environment variable), file:PATH or keyring:NAME.",
        )


def check_header(line: str) -> tuple[str, str]:
    """Return name and value of a header line; the value may be a source.

    Raises:
        EngineError: `bad-header`: it is no header, or holds a credential that would be saved.
    """
    name, colon, value = (part.strip() for part in line.partition(":"))
    plain = name.replace("-", "").replace("_", "")
    if not colon or not plain.isalnum() or not plain.isascii() or not value.isprintable():
        raise EngineError("bad-header", "A header is written as `Name: value`.", "Correct the header.")
    secret = any(word in name.lower() for word in _SECRET_WORDS)
    secret = secret or value.lower().startswith(_SECRET_BEGINNINGS)
    if secret and value.partition(":")[0] not in SOURCES:
        raise EngineError(
            "bad-header",
            f"The value of {name} looks like a credential and would be saved.",
            f"Name where it is, such as `{name}: env:NAME`.",
        )
    return name, value


def header_lines(text: str) -> tuple[str, ...]:
    """Return the headers of `NAME=env:NAME, NAME=value` as `Name: value`; they are not checked."""
    parts = (part.strip(" ,") for part in _NEXT_HEADER.split(text))
    return tuple(re.sub(r"\s*[=:]\s*", ": ", part, count=1) for part in parts if part)


def header_text(headers: Sequence[str]) -> str:
    """Return headers in one line, as `header_lines` reads it."""
    return ", ".join("=".join(part.strip() for part in line.split(":", 1)) for line in headers)


def server_spec(
    address: str, model: str = "", key: str = "", headers: Sequence[str] = (), context: int = 2048
) -> EngineSpec:
    """Return the spec of an engine on a server.

    Args:
        address: as a user writes it.
        model: one of those that the server lists; empty for its only or first one.
        key: source of the key: `env:NAME`, `file:PATH`, `keyring:NAME`, or empty.
        headers: further header lines, `Name: value`.
        context: for servers whose context window the client chooses.

    Raises:
        EngineError: the address, the source of the key or a header is not accepted.
    """
    check_source(key)
    for line in headers:
        check_header(line)
    options = {MODEL: model, KEY: key, HEADERS: "\n".join(headers)}
    return EngineSpec(
        checkpoint=parse_address(address).base,
        backend=REMOTE,
        precision=SERVED,
        context=context,
        options={name: value for name, value in options.items() if value},
    )


def host_of(spec: EngineSpec) -> str:
    """Return host and port of a spec's server, for the screen."""
    try:
        return parse_address(spec.checkpoint).host
    except EngineError:
        return spec.checkpoint


def answered(spec: EngineSpec, kind: str, model: str, precision: str) -> EngineSpec:
    """Return the spec with what its server has reported."""
    reported = {KIND: kind, MODEL: model, REPORTED_PRECISION: precision}
    options = spec.options | {name: value for name, value in reported.items() if value}
    return replace(spec, options=options)


def contact_words(server: ServerFacts) -> str:
    """Return what a server reports and can do, in one line."""
    version = f" {server.version}" if server.version else ""
    precision = f"{server.precision} (from {server.precision_source})" if server.precision else "not reported"
    context = f"{server.context:,} tokens" if server.context else "not reported"
    counts = {"chunk": "with each chunk", "usage": "at the end of an answer"}.get(server.counts, "estimated")
    parts = (
        f"{server.kind}{version} at {server.address}",
        f"model {server.model}",
        f"precision {precision}",
        f"context {context}",
        f"tokens counted {counts}",
        f"scores of given texts: {server.prompt_scores or 'unavailable'}",
        f"KV cache and requests: {server.metrics or 'unavailable'}",
    )
    return " · ".join(parts)


def no_scores(server: ServerFacts) -> EngineError:
    """Return the error of a server that cannot be scored: that takes more than the given tokens' own."""
    return EngineError(
        "unsupported",
        f"{server.kind} has no call that returns the log-probabilities of the most likely tokens at each "
        "place of a given text.",
        "Compare its answers and its speed in the chat instead.",
    )


def is_remote(spec: EngineSpec) -> bool:
    """Return whether the engine of a spec runs on a server."""
    return spec.backend == REMOTE


def model_of(spec: EngineSpec) -> str:
    """Return the name of a server's model; empty before one was chosen."""
    return spec.options.get(MODEL, "")


def server_of(spec: EngineSpec) -> tuple[str, str, str, tuple[str, ...]]:
    """Return address, model, source of the key and headers of a spec, as `server_spec` takes them."""
    headers = tuple(filter(None, spec.options.get(HEADERS, "").split("\n")))
    return spec.checkpoint, model_of(spec), spec.options.get(KEY, ""), headers


def shown_precision(spec: EngineSpec) -> str:
    """Return the precision of a spec; of an engine on a server the one that it reports, or `server`."""
    return spec.options.get(REPORTED_PRECISION, "server") if is_remote(spec) else spec.precision
