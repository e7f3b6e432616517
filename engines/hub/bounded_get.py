"""Read bounded parts of what the hub sends, within a time limit.

huggingface_hub's own functions for lists read answers of any size, and wait without a limit.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from engines.hub.failures import explained, hub_error, no_network
from engines.hub.listing import HUB_TIMEOUT_SECONDS
from engines.hub.stream import file_path, open_stream
from engines.plan.checkpoint.json_file import parse_json

TOTAL_SECONDS = 60.0
"""Time limit of one answer: a server may send a byte at a time."""


def get_json(path: str, parameters: Mapping[str, Any], limit: int) -> object:
    """Return the JSON that the hub answers to `path`, such as `api/models`.

    Args:
        limit: largest accepted answer in bytes.

    Raises:
        EngineError: `no-network`, or `hub-error`: it is larger or no JSON.
    """
    data = _get(path, parameters, 0, limit + 1, "")
    if len(data) > limit:
        raise hub_error(f"it is larger than {limit:,} bytes")
    try:
        return parse_json(data)
    except (ValueError, RecursionError) as error:
        raise hub_error("it is not JSON") from error


def get_range(hub_id: str, commit: str, name: str, start: int, stop: int) -> bytes:
    """Return the bytes from `start` to before `stop` of a model's file; fewer where it ends earlier.

    Raises:
        EngineError: `gated`, `unknown-checkpoint`, `no-network` or `hub-error`.
    """
    if stop <= start:
        return b""
    return _get(file_path(hub_id, commit, name), {}, start, stop, hub_id)


def _get(path: str, parameters: Mapping[str, Any], start: int, stop: int, hub_id: str) -> bytes:
    """Return the bytes of an answer from `start` to before `stop`, and close the connection there."""
    deadline = time.monotonic() + TOTAL_SECONDS
    wanted = f"{start}-{stop - 1}" if hub_id else ""
    parts: list[bytes] = []
    with explained(hub_id), open_stream(path, HUB_TIMEOUT_SECONDS, parameters, wanted) as response:
        at = start if response.is_range else 0
        for part in response.chunks:
            parts.append(part[max(0, start - at) : max(0, stop - at)])
            at += len(part)
            if at >= stop:
                break
            if time.monotonic() > deadline:
                raise no_network(
                    hint=f"It sent {at:,} bytes in {TOTAL_SECONDS:.0f} seconds; try again later."
                )
    return b"".join(parts)
