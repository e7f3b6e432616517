"""Convert sampling parameters to the library's `SamplingParams`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from engines.worker.protocol import Sampling

LARGEST_SEED = 2**63 - 1


def sampling_fields(sampling: Sampling, eos_token_ids: Collection[int]) -> dict[str, Any]:
    """Return the keyword arguments of `SamplingParams`, without those that keep the library's default.

    The worker handles stop strings and detokenizes, so `detokenize` is off.
    """
    fields: dict[str, Any] = {
        "max_tokens": sampling.max_tokens,  # the library's default is 32
        "seed": min(sampling.seed, LARGEST_SEED),
        "ignore_eos": sampling.ignore_eos,
        "detokenize": False,
        "add_special_tokens": False,
    }
    if eos_token_ids and not sampling.ignore_eos:
        first, *others = sorted(eos_token_ids)
        fields["end_id"] = first
        if others:
            fields["stop_token_ids"] = others
    if sampling.repetition_penalty != 1.0:
        fields["repetition_penalty"] = sampling.repetition_penalty
    return fields | (_greedy() if sampling.temperature == 0 else _sampled(sampling))


def _greedy() -> dict[str, Any]:
    return {"top_k": 1}  # documented in all releases, while some do not accept a temperature of 0


def _sampled(sampling: Sampling) -> dict[str, Any]:
    fields: dict[str, Any] = {"temperature": sampling.temperature}
    # Always set: without top_k and top_p the library decodes greedily at any temperature.
    fields["top_p"] = sampling.top_p
    if sampling.top_k:
        fields["top_k"] = sampling.top_k
    if sampling.min_p:
        fields["min_p"] = sampling.min_p
    return fields
