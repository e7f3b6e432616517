"""What went wrong with a request, in words, with the next step."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from engines.errors import EngineError, first_line

if TYPE_CHECKING:
    import httpx2

MESSAGE_CHARACTERS = 300
"""Of a server's own message."""
RETRIED = frozenset({429, 503})
"""Statuses after which the same request may succeed: a full queue, and a model that is still loaded."""


class StatusError(EngineError):
    """A server answered with an error status.

    Attributes:
        status: The HTTP status.
        said: The server's own message; empty without one.
        retry_after: Seconds that it asks to wait; None if it does not say.
    """

    def __init__(self, error: EngineError, status: int, said: str, retry_after: float | None) -> None:
        super().__init__(error.code, error.message, error.hint)
        self.status, self.said, self.retry_after = status, said, retry_after


def transport_failure(error: Exception, host: str) -> EngineError:
    """Return the error for a request that got no complete response."""
    import httpx2

    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text or "certificate verify failed" in text.lower():
        return EngineError(
            "certificate",
            f"The certificate of {host} is not trusted: {_certificate(text)}.",
            "Give its authority's file in the variable SSL_CERT_FILE, or use http on this machine.",
        )
    if isinstance(error, (httpx2.SSEError, httpx2.DecodingError)):
        return not_an_api(host, first_line(error))
    if isinstance(error, httpx2.ConnectTimeout):
        return EngineError(
            "unreachable", f"{host} does not answer.", "Check the address, the network and the firewall."
        )
    if isinstance(error, (httpx2.ConnectError, httpx2.ProxyError)):
        return EngineError(
            "unreachable",
            f"{host} cannot be reached: {_reason(text)}.",
            "Start the server, or correct the address, then try again.",
        )
    if isinstance(error, httpx2.TimeoutException):
        return EngineError("server-silent", f"{host} has stopped answering.", "Try again.")
    return EngineError(
        "answer-cut",
        f"{host} closed the connection before its answer was complete.",
        "Look at the server's log, then try again (R).",
    )


def _certificate(text: str) -> str:
    for words, meaning in (
        ("self-signed", "it is self-signed"),
        ("self signed", "it is self-signed"),
        ("expired", "it has expired"),
        ("ostname mismatch", "it is for another host"),
        ("not valid for", "it is for another host"),
    ):
        if words in text:
            return meaning
    return "its authority is unknown"


def _reason(text: str) -> str:
    lowered = text.lower()
    if "refused" in lowered or "all connection attempts failed" in lowered:
        return "nothing listens there"
    if "name or service" in lowered or "nodename" in lowered or "name resolution" in lowered:
        return "the name is unknown"
    if "wrong_version_number" in lowered or "record layer" in lowered:
        return "it speaks http, not https"
    return first_line(Exception(text)) if text else "no reason was given"


def status_failure(response: httpx2.Response, body: bytes, host: str, *, has_key: bool) -> StatusError:
    """Return the error for an error status.

    Args:
        body: the response's body, perhaps only its beginning.
        has_key: whether the request had a key.
    """
    status, said = response.status_code, server_message(body)
    words = f": {said}" if said else "."
    if status in (401, 403):
        message = f"{host} does not accept the key{words}" if has_key else f"{host} asks for a key{words}"
        hint = "Check the key." if has_key else "Name where it is: env:NAME, file:PATH or keyring:NAME."
        error = EngineError("unauthorised", message, hint)
    elif status == 404:
        error = EngineError(
            "not-found",
            f"{host} does not have that model or path{words}",
            "Choose one of the models that it lists, or check the end of the address (/v1, /v3).",
        )
    elif status == 429:
        error = EngineError("too-many-requests", f"{host} is busy{words}", "Wait a moment, then try again.")
    elif status == 503:
        error = EngineError(
            "server-loading", f"{host} is not ready{words}", "Wait until its model is loaded, then try again."
        )
    elif is_context_error(said):
        error = EngineError(
            "context-full", f"The conversation is too long for {host}: {said}",
            "Send a shorter prompt, clear the chat, or let the oldest turns be left out (F6).",
        )  # fmt: skip
    elif status >= 500:
        error = EngineError("server-error", f"{host} failed ({status}){words}", "Look at the server's log.")
    else:
        error = EngineError("refused", f"{host} refused the request ({status}){words}", "Try other settings.")
    return StatusError(error, status, said, _retry_after(response))


def is_context_error(said: str) -> bool:
    """Return whether a message is about a prompt that does not fit the context window."""
    lowered = said.lower()
    return "context" in lowered and any(word in lowered for word in ("length", "size", "exceed", "window"))


def server_message(body: bytes) -> str:
    """Return what a body says is wrong: JSON of several forms, or the first line of plain text."""
    text = body.decode("utf-8", "replace").strip()
    try:
        return error_message(json.loads(text))
    except (ValueError, RecursionError):
        pass
    if text.startswith("<"):
        return "it sent an HTML page"
    return text.splitlines()[0][:MESSAGE_CHARACTERS] if text else ""


def error_message(data: object) -> str:
    """Return the message in an error object: of OpenAI's form, `{"detail"}`, `{"message"}` or a text."""
    if isinstance(data, dict):
        for name in ("error", "detail", "message", "msg"):
            if data.get(name):
                return error_message(data[name])
        return ""
    if isinstance(data, list):
        return "; ".join(filter(None, map(error_message, data[:3])))[:MESSAGE_CHARACTERS]
    return " ".join(str(data).split())[:MESSAGE_CHARACTERS] if data else ""


def redirected(host: str, location: str) -> EngineError:
    """Return the error for a redirect to another host, which would get the key and the conversation."""
    try:
        other = urlsplit(location).netloc or "another address"
    except ValueError:
        other = "another address"
    return EngineError(
        "redirected",
        f"{host} sends requests on to {other[:200]}, which was not asked for.",
        "If you trust it, give that address itself.",
    )


def not_an_api(host: str, what: str) -> EngineError:
    """Return the error for a response that is none of an OpenAI-compatible server."""
    return EngineError(
        "not-an-api",
        f"{host} does not answer as an OpenAI-compatible server: {what}.",
        "Check the port, and the end of the address (/v1, /v3).",
    )


def _retry_after(response: httpx2.Response) -> float | None:
    try:
        seconds = float(response.headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < 3600 else None
