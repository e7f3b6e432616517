"""A model of the hub as a list shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engines.plan.checkpoint.hub_cache import looks_like_hub_id
from engines.plan.checkpoint.tensors import DTYPE_BITS

MAX_TEXT = 80
"""Characters of a licence or a task."""
MAX_COUNT = 2**60


@dataclass(frozen=True)
class HubModel:
    """The facts of a model that the hub lists without a download."""

    hub_id: str
    parameters: int | None
    """As the hub counts the elements of its safetensors; None where it has not counted them."""
    weight_bytes: int | None
    """Bytes of all safetensors; None as above."""
    licence: str
    """The hub's licence identifier, such as `apache-2.0`; empty where the model names none."""
    gated: bool
    """Whether its authors ask you to accept their terms before a download."""
    downloads: int
    """Of the last 30 days."""
    likes: int
    pipeline: str
    """The task, such as `text-generation`."""


def model_of_api(item: object) -> HubModel | None:
    """Return the model in one entry of the hub's API; None where it has no valid id."""
    if not isinstance(item, Mapping):
        return None
    hub_id = item.get("id")
    if not isinstance(hub_id, str) or not looks_like_hub_id(hub_id):
        return None
    counts = _counts(item.get("safetensors"))
    return HubModel(
        hub_id=hub_id,
        parameters=sum(counts.values()) or None,
        weight_bytes=_bytes(counts),
        licence=licence_of_tags(item.get("tags")),
        gated=item.get("gated") not in (None, False),
        downloads=_count(item.get("downloads")),
        likes=_count(item.get("likes")),
        pipeline=_text(item.get("pipeline_tag")),
    )


def licence_of_tags(tags: object) -> str:
    """Return the licence in the tags of a model, such as `license:apache-2.0`; empty without one."""
    for tag in tags if isinstance(tags, list) else ():
        if isinstance(tag, str) and tag.startswith("license:"):
            return _text(tag.removeprefix("license:"))
    return ""


def _counts(safetensors: object) -> dict[str, int]:
    """Return the number of elements of each type, as safetensors names the types."""
    counts = safetensors.get("parameters") if isinstance(safetensors, Mapping) else None
    if not isinstance(counts, Mapping):
        return {}
    return {str(name): _count(count) for name, count in list(counts.items())[: len(DTYPE_BITS)]}


def _bytes(counts: Mapping[str, int]) -> int | None:
    if not counts or not set(counts) <= set(DTYPE_BITS):
        return None
    return sum(count * DTYPE_BITS[name] for name, count in counts.items()) // 8 or None


def _count(value: object) -> int:
    return value if type(value) is int and 0 <= value <= MAX_COUNT else 0


def _text(value: object) -> str:
    """Return the printable characters of a text, at most MAX_TEXT; empty for anything else."""
    if not isinstance(value, str):
        return ""
    return "".join(letter for letter in value[:MAX_TEXT] if letter.isprintable())
