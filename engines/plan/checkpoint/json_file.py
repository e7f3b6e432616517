"""Read JSON objects from untrusted files, with a size limit."""

from __future__ import annotations

import json
from pathlib import Path

from engines.errors import EngineError

MAX_JSON_BYTES = 100_000_000
"""The largest index of a sharded checkpoint has about 10 MB."""


def read_json_object(file: Path, code: str = "broken-config") -> dict[str, object]:
    """Return the object in a JSON file.

    Raises:
        EngineError: with `code`: the file cannot be read, is too large, or does not hold a JSON object.
    """
    try:
        size = file.stat().st_size
        value = json.loads(file.read_bytes()) if size <= MAX_JSON_BYTES else None
    except OSError as error:
        raise broken(file, code, f"it cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise broken(file, code, "it is not JSON") from error
    if not isinstance(value, dict):
        what = "it is not a JSON object" if size <= MAX_JSON_BYTES else f"it has {size:,} bytes"
        raise broken(file, code, what)
    return value


def broken(file: Path, code: str, why: str) -> EngineError:
    """Return the error for a damaged file of a checkpoint."""
    return EngineError(code, f"{file.name} is damaged: {why}.", "Download or copy the checkpoint again.")
