"""What a checkpoint says before it is quantised: kept beside the engine, and held against what that says.

The plain model is in memory when it is quantised, and at no other time: a second one may not fit the GPU.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from engines.backends.base import Report, Scores
from engines.backends.tensorrt_llm.scores import scores_of
from engines.errors import EngineError
from engines.measure.quality import QualityCard, quality_card
from engines.plan.checkpoint.json_file import read_json_object
from engines.worker.tokenizer import Tokenizer

FILE = "reference.json"
QUESTIONS = ("What is a KV cache?", "What does FP8 mean?", "Tell me a short story.", "What is 12 plus 7?")
TOKENS, TOP = 48, 40
"""Of an answer, and of a position: enough to tell broken weights from rounded ones."""
WIDE = 4096
"""Of the engine: with the same few a divergence is a lower bound, and near 0 where they share none."""
MEASURED = "exported weights of the demo checkpoint, tests/engines/backends/tensorrt_llm/test_quantise.py"
ON_A_GPU = "the same, tried by hand: calibrated on one H200, read by the double"
AS_INT4 = "INT4 AWQ's: `tests.benchmarks.modelopt` on one H200 finds 1.08 times its divergence"
ROOM = 50
"""Other models, and activations in 8 bits, are further off; rows in a wrong order make it 12.6 nats."""


EVERY = 4
"""Places between two that are asked for, one request each."""
LEAST_SAME = 0.5
"""Of the demo, the worst precision keeps 0.92 and rows in a wrong order 0."""


@dataclass(frozen=True)
class Asked:
    """The loaded engine, as far as it is asked here."""

    score: Callable[[Sequence[int], int], Scores]
    """`Backend.score`. A TensorRT engine gives none unless it was built with `gather_context_logits`, which
    takes gigabytes of the GPU for as long as it is loaded."""
    following: Callable[[Sequence[int]], int]
    """The likeliest token after others."""
    context: int
    """Tokens that it holds."""


@dataclass(frozen=True)
class Bound:
    """How far a precision may be from its checkpoint."""

    mean_kld: float
    """In nats, as it was seen."""
    source: str

    @property
    def most(self) -> float:
        """More than this is no rounding."""
        return ROOM * self.mean_kld


BOUNDS = {
    "fp8": Bound(0.0005, MEASURED),
    "int4-awq": Bound(0.016, MEASURED),
    "int8-sq": Bound(0.0005, MEASURED),
    "w4a8-awq": Bound(0.017, AS_INT4),
    "nvfp4": Bound(0.009, ON_A_GPU),
}


@dataclass
class Reference:
    """Texts as token ids, and what the plain model says of each."""

    texts: list[list[int]] = field(default_factory=list)
    scores: list[Scores] = field(default_factory=list)


def keep(model: Any, checkpoint: Path, directory: Path) -> None:
    """Let the plain model answer, and write down how probable it holds every token of that."""
    import torch

    found, tokenizer = Reference(), Tokenizer(checkpoint)
    for question in QUESTIONS:
        ids = tokenizer.prompt_ids([{"role": "user", "content": question}])
        prompt = torch.tensor([ids], device=model.device)
        with torch.inference_mode():
            answered = model.generate(prompt, max_new_tokens=TOKENS, do_sample=False)
            logits = model(answered, use_cache=False).logits[0]
        found.texts.append(answered[0].tolist())
        found.scores.append(scores_of(logits, found.texts[-1], TOP))
    (directory / FILE).write_text(json.dumps(asdict(found)), "utf-8")


def read(directory: Path) -> Reference | None:
    """What `keep` wrote; None where nothing was quantised here."""
    if not (directory / FILE).is_file():
        return None
    found: dict[str, Any] = dict(read_json_object(directory / FILE))
    return Reference(found["texts"], [Scores(**one) for one in found["scores"]])


def check(asked: Asked, precision: str, directory: Path, report: Report) -> None:
    """Hold the loaded engine against the kept scores; where it gives none, against the likeliest tokens.

    Raises:
        EngineError: `smoke-test`: the engine is further from its checkpoint than rounding explains.
    """
    reference, bound = read(directory), BOUNDS.get(precision)
    if reference is None or bound is None:
        return
    try:
        card = compare(reference, asked)
    except EngineError as error:
        if error.code != "unsupported":
            raise
        report.log(error.message)
        _check_first_tokens(reference, asked, report)
        return
    seen = f"KL divergence {card.mean_kld:.4f} nats over {card.tokens} tokens"
    # Also where it is not a number.
    if not card.mean_kld <= bound.most:
        raise _too_far(f"{seen}; {precision} may have {bound.most:g}")
    report.log(f"smoke test: {seen}, at most {bound.most:g}; same first token {card.same_top:.0%}")


def _check_first_tokens(reference: Reference, asked: Asked, report: Report) -> None:
    same, of = same_first_tokens(reference, asked)
    seen = f"{same} of {of} first tokens are those of the checkpoint"
    if same < LEAST_SAME * of:
        raise _too_far(f"{seen}; at least {LEAST_SAME:.0%} should be")
    report.log(f"smoke test: {seen}, at least {LEAST_SAME:.0%}")


def _too_far(seen: str) -> EngineError:
    return EngineError(
        "smoke-test",
        f"The engine is too far from its checkpoint: {seen}.",
        "Prepare it again; if that does not help, choose another precision and report this with the log.",
    )


def same_first_tokens(reference: Reference, asked: Asked) -> tuple[int, int]:
    """At how many places of the texts the engine would go on as the plain model does, and of how many."""
    places = [
        (ids[:end], kept.top_ids[end - 1][0])
        for ids, kept in zip(reference.texts, reference.scores, strict=True)
        for end in range(EVERY, min(len(ids), asked.context), EVERY)
    ]
    return sum(asked.following(before) == token for before, token in places), len(places)


def compare(reference: Reference, asked: Asked) -> QualityCard:
    """One card over all texts, as far as they fit the engine's context."""
    base, candidate = Scores([], [], []), Scores([], [], [])
    for ids, kept in zip(reference.texts, reference.scores, strict=True):
        fitting = ids[: asked.context]
        base = _joined(base, kept, len(fitting) - 1)
        candidate = _joined(candidate, asked.score(fitting, WIDE), len(fitting) - 1)
    return quality_card(base, candidate)


def _joined(before: Scores, more: Scores, count: int) -> Scores:
    return Scores(
        [*before.logprobs, *more.logprobs[:count]],
        [*before.top_ids, *more.top_ids[:count]],
        [*before.top_logprobs, *more.top_logprobs[:count]],
    )
