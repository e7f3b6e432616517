"""Which engines can be compared: those of the sides, and those of the same checkpoint that need no build."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from app.state.side.side import Side
from engines.build.server import is_remote
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore

REFERENCE = "pytorch"
PRECISIONS = ("fp32", "bf16")
"""Precisions of the reference backend that any device computes, without a build."""


def compared_sides(sides: Sequence[Side]) -> tuple[Side | None, list[Side]]:
    """Return the side that is the reference, and the others with an engine of the same checkpoint.

    The reference is PyTorch if exactly one side is, else the right one; never a server, which does not return
    the whole vocabulary. Whether a server runs the same checkpoint is found out when it is scored.
    """
    loaded = [side for side in sides if side.spec and side.checkpoint]
    if not loaded:
        return None, []
    plain = [side for side in loaded if side.spec and side.spec.backend == REFERENCE]
    reference = plain[0] if len(plain) == 1 else loaded[-1]
    assert reference.spec
    checkpoint = reference.spec.checkpoint
    others = [
        side
        for side in sides
        if side is not reference
        and side.spec
        and (side.spec.checkpoint == checkpoint or is_remote(side.spec))
    ]
    return reference, others


def candidates(store: EngineStore, reference: EngineSpec, present: Sequence[EngineSpec]) -> list[EngineSpec]:
    """Return engines that can be added: stored ones of the reference's checkpoint, and the reference backend.

    Raises:
        OSError: the store cannot be read.
    """
    stored = [
        replace(one.spec, context=reference.context, checkpoint=reference.checkpoint)
        for one in store.engines()
        if one.spec.checkpoint == reference.checkpoint
    ]
    plain = [
        replace(reference, backend=REFERENCE, precision=precision, options={}, kv_precision="auto")
        for precision in PRECISIONS
    ]
    found: list[EngineSpec] = []
    for spec in (*stored, *plain):
        if spec not in (*found, *present, reference):
            found.append(spec)
    return found
