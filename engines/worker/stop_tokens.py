"""The tokens that end an answer, from every place that names them.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from engines.errors import EngineError
from engines.plan.checkpoint.json_file import read_json_object

LARGEST_ID = 2**31 - 1
FILES = ("generation_config.json", "config.json")
TEXT_PARTS = ("text_config", "decoder", "generator", "thinker_config", "llm_config", "language_config")
"""Parts of a config.json that describe the language model of a wrapper."""


def configured_stop_ids(checkpoint: Path, added: Mapping[str, int]) -> frozenset[int]:
    """Return the `eos_token_id` of the generation config, the config and the configs of its text model.

    Args:
        added: ids of the tokenizer's added tokens by text: `stop_strings` may name one.
    """
    found: set[object] = set()
    for name in FILES:
        try:
            config = read_json_object(checkpoint / name)
        except EngineError:
            continue
        for one in (config, *_text_configs(config)):
            found |= set(_items(one.get("eos_token_id"), int))
            found |= {added.get(str(text)) for text in _items(one.get("stop_strings"), str)}
    return valid_ids(found)


def valid_ids(values: set[object]) -> frozenset[int]:
    """Return those that can be ids of tokens."""
    return frozenset(one for one in values if type(one) is int and 0 <= one <= LARGEST_ID)


def _text_configs(config: Mapping[str, object], depth: int = 0) -> Iterator[Mapping[str, object]]:
    """Yield the configs of the text model; those of models that also speak are two levels deep."""
    for name in TEXT_PARTS:
        part = config.get(name)
        if isinstance(part, dict):
            yield part
            if depth < 1:
                yield from _text_configs(part, depth + 1)


def _items(value: object, kind: type) -> list[object]:
    return [one for one in (value if isinstance(value, list) else [value]) if type(one) is kind]
