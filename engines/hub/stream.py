"""Ask the hub through huggingface_hub's session: it knows the endpoint, the token and the offline mode.

Standard library and huggingface_hub only, Python 3.10 and newer: workers in other environments use it too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

_CHUNK = 1 << 16


@dataclass(frozen=True)
class Response:
    """An answer whose bytes are still to come."""

    is_range: bool
    """Whether it holds the range that was asked for; False if it starts with the first byte."""
    chunks: Iterator[bytes]
    """The bytes as they arrive."""


@contextmanager
def open_stream(
    path: str, timeout: float, parameters: Mapping[str, Any] | None = None, byte_range: str = ""
) -> Iterator[Response]:
    """Send a GET request to the hub and give the answer; the connection is closed afterwards.

    Args:
        path: below the endpoint, such as `api/models`.
        timeout: seconds without a byte.
        byte_range: such as `0-99`, or `100-` for the rest.

    Raises:
        Exception: what huggingface_hub or its HTTP library raises; see `failures`.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    headers = build_hf_headers()
    if byte_range:  # a compressed answer has no ranges
        headers |= {"Range": f"bytes={byte_range}", "Accept-Encoding": "identity"}
    options: dict[str, Any] = {"headers": headers, "params": dict(parameters or {}), "timeout": timeout}
    url = f"{constants.ENDPOINT}/{path}"
    session: Any = get_session()
    with ExitStack() as stack:
        if hasattr(session, "stream"):  # httpx, from huggingface_hub 1 on
            response = stack.enter_context(session.stream("GET", url, **options))
            chunks = response.iter_bytes()
        else:  # requests, in environments that need an older one
            response = stack.enter_context(session.get(url, stream=True, **options))
            chunks = response.iter_content(_CHUNK)
        hf_raise_for_status(response)
        yield Response(response.status_code == 206, chunks)


def file_path(hub_id: str, commit: str, name: str) -> str:
    """Return the path of a model's file below the endpoint."""
    return f"{hub_id}/resolve/{commit}/{quote(name)}"
