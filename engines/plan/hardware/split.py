"""An estimate where the weights of one engine are split over several GPUs."""

from __future__ import annotations

from dataclasses import replace

from engines.plan.estimate.estimate import Estimate


def on_each(found: Estimate, gpus: int) -> Estimate:
    """What one GPU takes and reads: weights and cache are shared out evenly, each has the rest for itself."""
    return replace(
        found,
        weights=found.weights // gpus,
        kv=found.kv // gpus,
        loading=found.loading // gpus,
        bytes_per_token=found.bytes_per_token // gpus,
        gpus=gpus,
    )


def on_all(found: Estimate, gpus: int) -> Estimate:
    """What all of them take together, as a loaded engine is counted."""
    return replace(found, other=found.other * gpus)
