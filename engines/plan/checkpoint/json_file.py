"""Read JSON objects from untrusted files, with limits that keep the time and the memory of a parse small.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path

from engines.errors import EngineError
from engines.regular_file import read_regular

MB = 1_000_000
_LIMITS = (
    ("tokenizer.json", 100 * MB),
    ("*.index.json", 50 * MB),
    ("vocab.json", 50 * MB),
    ("tekken.json", 100 * MB),
    ("generation_config.json", MB),
    ("chat_template.json", MB),
    ("*.jinja", MB),
    ("*config*.json", 10 * MB),
    ("*token*.json", 10 * MB),
    ("vocab.txt", 50 * MB),
    ("merges.txt", 50 * MB),
    ("*.model", 50 * MB),
    ("*.tiktoken", 50 * MB),
)
"""Largest size of the files that libraries read, by name; the first pattern that fits counts. Gemma's
tokenizer.json has 34 MB, the index of the largest checkpoint 10 MB, its config.json 0.2 MB."""
MAX_CONFIG_BYTES = 10 * MB
MAX_VALUES = 1_000_000
"""JSON arrays, objects and elements in one file. Parsing holds Python's lock, so the screen freezes: a
million empty arrays take a quarter of a second and 60 MB. A file with 100,000 tensors has this many."""


def size_limit(name: str) -> int | None:
    """Return the largest size in bytes of a checkpoint's file of this name; None for one without a limit."""
    return next((limit for pattern, limit in _LIMITS if fnmatchcase(name.lower(), pattern)), None)


def read_json_object(file: Path, code: str = "broken-config") -> dict[str, object]:
    """Return the object in a JSON file.

    Raises:
        EngineError: with `code`: the file cannot be read, is too large, or does not hold a JSON object.
    """
    try:
        value = parse_json(read_regular(file, size_limit(file.name) or MAX_CONFIG_BYTES))
    except OSError as error:
        raise broken(file, code, f"it cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        why = str(error) if isinstance(error, TooManyValues) else "it is not JSON"
        raise broken(file, code, why) from error
    if not isinstance(value, dict):
        raise broken(file, code, "it is not a JSON object")
    return value


class TooManyValues(ValueError):  # noqa: N818 - a ValueError as those of json.loads
    """JSON with more than MAX_VALUES values."""


def parse_json(data: bytes) -> object:
    """Return the value in JSON text.

    Raises:
        ValueError: it is not JSON, or has more than MAX_VALUES values (`TooManyValues`).
        RecursionError: it is nested too deeply.
    """
    if sum(map(data.count, (b"[", b"{", b","))) > MAX_VALUES:
        raise TooManyValues(f"it has more than {MAX_VALUES:,} values")
    return json.loads(data)


def broken(file: Path, code: str, why: str) -> EngineError:
    """Return the error for a damaged file of a checkpoint."""
    return EngineError(code, f"{file.name} is damaged: {why}.", "Download or copy the checkpoint again.")
