"""Refuse numbers in config.json with which no model computes anything finite.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from engines.plan.checkpoint.json_file import broken

POSITIVE = ("eps", "epsilon", "rope_theta", "rotary_emb_base", "attention_multiplier", "logits_scaling")
"""Ends of the names of fields that have to be positive and finite."""


def refuse_impossible_numbers(config: Mapping[str, object], file: Path) -> None:
    """Check the floats of a config, those of nested objects included.

    Infinity is allowed elsewhere: Mamba's `time_step_limit` ends with it.

    Raises:
        EngineError: a number is NaN, or one that has to be positive and finite is not (`broken-config`).
    """
    for name, value in _leaves(config):
        if isinstance(value, float) and math.isnan(value):
            raise broken(file, "broken-config", f"{name[:80]} is NaN")
        if name.endswith(POSITIVE) and value is not None and not _is_positive(value):
            raise broken(file, "broken-config", f"{name[:80]} is {str(value)[:40]!r}, not a positive number")


def _is_positive(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return 0 < value < 1e300


def _leaves(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    """Yield each plain value, with the name of the field that holds it."""
    pending = [(name, value)]
    while pending:
        name, value = pending.pop()
        if isinstance(value, Mapping):
            pending += [(str(key), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            pending += [(name, inner) for inner in value]
        else:
            yield name, value
