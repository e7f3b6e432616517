"""Make the rows of a comparison from what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from math import isfinite
from pathlib import Path

from engines.backends.registry import engine_title
from engines.build.spec import EngineSpec
from engines.compare.comparison import Passage, Row, Speed
from engines.compare.engine import ComparedEngine
from engines.errors import EngineError
from engines.measure.quality import QualityCard, quality_card
from engines.plan.estimate.estimate import estimate_weight_bytes
from engines.worker.protocol import Scored


def title(spec: EngineSpec) -> str:
    """Return `OpenVINO int8`, with the precision of the KV cache where it was chosen."""
    kv = "" if spec.kv_precision == "auto" else f", KV {spec.kv_precision}"
    return f"{engine_title(spec)}{kv}"


def file_title(spec: EngineSpec) -> str:
    """Return `llama.cpp q8_0, model.gguf`: of a GGUF file beside another checkpoint of the model."""
    return f"{title(spec)}, {Path(spec.checkpoint).name}"


def unmeasured(spec: EngineSpec, error: str = "") -> Row:
    """Return the row of an engine without figures.

    Args:
        error: why it could not be compared.
    """
    return Row(title(spec), spec.backend, spec.precision, spec.kv_precision, "", error=error)


async def described(engine: ComparedEngine, speed: Speed) -> Row:
    """Return the row of a loaded engine, without its quality."""
    ready, prepared = await engine.load(), engine.prepared
    spec, checkpoint = prepared.spec, prepared.checkpoint
    facts = prepared.stored.manifest.facts if prepared.stored else {}
    known = facts.get("weight_bytes")
    weights = 0  # a server does not report the size of its weights
    if checkpoint is not None:
        weights = known if isinstance(known, int) else estimate_weight_bytes(checkpoint, spec.precision)
    memory = ready.memory
    return Row(
        title=title(spec),
        backend=spec.backend,
        precision=spec.precision,
        kv_precision=spec.kv_precision,
        digest=prepared.fingerprint,
        weight_bytes=weights,
        bits_per_weight=8 * weights / checkpoint.parameters if checkpoint else 0.0,
        memory_bytes=(memory.weights or 0) + (memory.kv or 0) + (memory.other or 0),
        speed=speed,
        inputs=prepared.inputs,
    )


def finished(
    row: Row, references: Sequence[Scored], scores: Sequence[Scored], found: Sequence[Sequence[Passage]]
) -> Row:
    """Return the row with its quality over all texts, and its passages, the worst first.

    Raises:
        EngineError: `no-quality`: a figure is infinite, because a token has the probability 0.
    """
    card = quality_card(joined(references), joined(scores))
    if not all(map(isfinite, _figures(card))):
        raise EngineError("no-quality", "A token of the texts has the probability 0, so nothing is finite.")
    worst = sorted(chain(*found), key=lambda passage: -max(one.kl for one in passage.positions))
    return replace(row, quality=card, passages=tuple(worst))


def joined(parts: Sequence[Scored]) -> Scored:
    """Return the scores of several texts as those of one."""
    return Scored(
        id=0,
        logprobs=tuple(chain(*(one.logprobs for one in parts))),
        top_ids=tuple(chain(*(one.top_ids for one in parts))),
        top_logprobs=tuple(chain(*(one.top_logprobs for one in parts))),
        ranks=tuple(chain(*(one.ranks for one in parts))),
        kl=tuple(chain(*(one.kl for one in parts))),
    )


def _figures(card: QualityCard) -> tuple[float, ...]:
    return card.ppl, card.ppl_base, card.ppl_ratio_error, card.mean_kld, *card.kld.values()
