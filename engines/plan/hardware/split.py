"""Estimates of an engine whose weights are split over several GPUs."""

from __future__ import annotations

from dataclasses import replace

from engines.plan.estimate.estimate import Estimate


def per_gpu(found: Estimate, gpus: int, at_once: bool = True) -> Estimate:
    """Return the estimate for one of `gpus` GPUs: weights and cache are split evenly, the rest is on each.

    Args:
        at_once: whether all compute at the same time; if one after another, a token takes as long as reading
            all weights.
    """
    return replace(
        found,
        weights=found.weights // gpus,
        kv=found.kv // gpus,
        loading=found.loading // gpus,
        bytes_per_token=found.bytes_per_token // (gpus if at_once else 1),
        gpus=gpus,
    )


def across_gpus(found: Estimate, gpus: int) -> Estimate:
    """Return the total over all GPUs, which is how the memory of a loaded engine is counted."""
    return replace(found, other=found.other * gpus)
