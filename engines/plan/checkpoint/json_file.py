"""JSON from files that anybody may have written: bounded in size, and an object or nothing."""

from __future__ import annotations

import json
from pathlib import Path

from engines.errors import EngineError

MAX_JSON_BYTES = 100_000_000
"""Far over the largest index of a sharded checkpoint (some 10 MB)."""


def read_json_object(file: Path, code: str = "broken-config") -> dict[str, object]:
    """The object in a JSON file.

    Raises:
        EngineError: with `code`: the file cannot be read, is too large, or is not one JSON object.
    """
    try:
        size = file.stat().st_size
        value = json.loads(file.read_bytes()) if size <= MAX_JSON_BYTES else None
    except OSError as error:
        raise broken(file, code, f"it cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise broken(file, code, "it is not JSON") from error
    if not isinstance(value, dict):
        what = "it is no JSON object" if size <= MAX_JSON_BYTES else f"it has {size:,} bytes"
        raise broken(file, code, what)
    return value


def broken(file: Path, code: str, why: str) -> EngineError:
    """The error for a damaged file of a checkpoint."""
    return EngineError(
        code, f"{file.name} is damaged: {why}.", "Download the checkpoint again, or copy it anew."
    )
