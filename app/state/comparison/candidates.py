"""Which engines can be compared: those of the sides, and those of the same checkpoint that need no build."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from app.state.prepare.gguf_choice import gguf_file
from app.state.side.side import Side
from engines.build.server import is_remote
from engines.build.spec import DEQUANTISED, EngineSpec
from engines.build.store import EngineStore
from engines.plan.checkpoint.gguf_checkpoint import is_gguf_file
from engines.plan.gguf_formats import GGUF_BACKEND

REFERENCE = "pytorch"
PRECISIONS = ("fp32", "bf16")
"""Precisions of the reference backend that any device computes, without a build."""
NO_ENGINE = "No engine is loaded. Press F2 to choose engines, then compare their answers here."
ONLY_SERVERS = (
    "A server cannot be the reference, which has to give the whole distribution: press F2 and load a local "
    "engine of the same model on a side."
)


def compared_sides(sides: Sequence[Side]) -> tuple[Side | None, list[Side]]:
    """Return the side that is the reference, and the others with an engine of the same model.

    The reference is PyTorch if exactly one side is, else the right one; never a server, which does not return
    the whole vocabulary. Whether a server, or a GGUF file beside another checkpoint, is of the same model is
    found out when it is scored.
    """
    loaded = [side for side in sides if side.spec and side.checkpoint and not is_remote(side.spec)]
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
        and (checkpoint == side.spec.checkpoint or is_remote(side.spec) or _is_gguf(checkpoint, side.spec))
    ]
    return reference, others


def _is_gguf(reference: str, spec: EngineSpec) -> bool:
    """Return whether the reference or the engine is of a GGUF file."""
    return any(gguf_file(checkpoint) for checkpoint in (reference, spec.checkpoint))


def why_nothing(sides: Sequence[Side]) -> str:
    """Return why nothing can be compared while no side is the reference, and what to do."""
    return ONLY_SERVERS if any(side.spec and is_remote(side.spec) for side in sides) else NO_ENGINE


def candidates(store: EngineStore, reference: EngineSpec, present: Sequence[EngineSpec]) -> list[EngineSpec]:
    """Return engines that can be added: stored ones of the reference's checkpoint, and the reference backend.

    Of a GGUF file it is llama.cpp, and the reference backend with its dequantised weights.

    Raises:
        OSError: the store cannot be read.
    """
    stored = [
        replace(one.spec, context=reference.context, checkpoint=reference.checkpoint)
        for one in store.engines()
        if one.spec.checkpoint == reference.checkpoint
    ]
    own = _precision_of_file(reference)
    options = {DEQUANTISED: own} if own else {}
    plain = [
        replace(reference, backend=REFERENCE, precision=precision, options=options, kv_precision="auto")
        for precision in PRECISIONS
    ]
    if own:
        file = replace(reference, backend=GGUF_BACKEND, precision=own, options={}, kv_precision="auto")
        plain.insert(0, replace(file, device="cpu"))
    found: list[EngineSpec] = []
    for spec in (*stored, *plain):
        if spec not in (*found, *present, reference):
            found.append(spec)
    return found


def _precision_of_file(spec: EngineSpec) -> str:
    """Return the precision of the GGUF file that an engine is made from; empty for other checkpoints."""
    if spec.backend == GGUF_BACKEND and is_gguf_file(Path(spec.checkpoint)):
        return spec.precision
    return spec.options.get(DEQUANTISED, "")
