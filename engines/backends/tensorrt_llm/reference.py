"""Compare a quantised engine with reference scores of its unquantised checkpoint.

The scores are written before the model is quantised, when it is in memory anyway. Later the GPU may not have
enough memory for it and the engine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from engines.backends.base import Report, Scores
from engines.backends.scores import ROWS, scores_from_logits
from engines.errors import EngineError
from engines.measure.quality import QualityCard, quality_card
from engines.plan.checkpoint.json_file import read_json_object
from engines.worker.tokenizer_process import open_tokenizer

FILE = "reference.json"
QUESTIONS = ("What is a KV cache?", "What does FP8 mean?", "Tell me a short story.", "What is 12 plus 7?")
ANSWER_TOKENS, REFERENCE_TOP_K = 48, 40
"""Tokens per answer and top tokens per position: enough to distinguish broken weights from rounding."""
ENGINE_TOP_K = 4096
"""Top tokens per position of the engine. With only 40 the KL divergence would be a lower bound, near 0 if the
two sets are disjoint."""
MEASURED = "exported weights of the demo checkpoint, tests/engines/backends/tensorrt_llm/test_quantise.py"
ON_A_GPU = "the same, run manually: calibrated on one H200, read by the test double"
AS_INT4 = "INT4 AWQ's: `tests.benchmarks.modelopt` on one H200 finds 1.08 times its divergence"
TOLERANCE = 50
"""Other models and 8-bit activations diverge more than was measured. Permuted rows give 12.6 nats."""
STRIDE = 4
"""Distance between the positions that are compared with one request each."""
MIN_SAME_TOP = 0.5
"""On the demo checkpoint the worst precision has 0.92, and permuted rows 0."""


@dataclass(frozen=True)
class Candidate:
    """The functions of the loaded engine that the comparison uses."""

    score: Callable[[Sequence[int], int], Scores]
    """`Backend.score`. Not supported by TensorRT engines unless they are built with `gather_context_logits`,
    which takes gigabytes of GPU memory while the engine is loaded."""
    greedy_token: Callable[[Sequence[int]], int]
    """Returns the most likely token after given ones."""
    context: int
    """Context window in tokens."""


@dataclass(frozen=True)
class Bound:
    """How much a precision may diverge from its checkpoint."""

    mean_kld: float
    """Measured mean KL divergence in nats."""
    source: str
    """How it was measured."""

    @property
    def limit(self) -> float:
        """Largest accepted mean KL divergence in nats; rounding does not explain more."""
        return TOLERANCE * self.mean_kld


BOUNDS = {
    "fp8": Bound(0.0005, MEASURED),
    "int4-awq": Bound(0.016, MEASURED),
    "int8-sq": Bound(0.0005, MEASURED),
    "w4a8-awq": Bound(0.017, AS_INT4),
    "nvfp4": Bound(0.009, ON_A_GPU),
}


@dataclass
class Reference:
    """Texts as token ids, and the unquantised model's scores of each."""

    texts: list[list[int]] = field(default_factory=list)
    scores: list[Scores] = field(default_factory=list)


def write_reference(model: Any, checkpoint: Path, directory: Path) -> None:
    """Generate answers with the unquantised model, and write them and their scores to FILE."""
    import torch

    reference, tokenizer = Reference(), open_tokenizer(checkpoint)
    prompts = [tokenizer.prompt_ids([{"role": "user", "content": question}]) for question in QUESTIONS]
    tokenizer.close()
    for ids in prompts:
        prompt = torch.tensor([ids], device=model.device)
        with torch.inference_mode():
            answer = model.generate(prompt, max_new_tokens=ANSWER_TOKENS, do_sample=False)
            logits = model(answer, use_cache=False).logits[0, :-1]
        reference.texts.append(answer[0].tolist())
        parts = (rows.float().cpu() for rows in logits.split(ROWS))
        reference.scores.append(scores_from_logits(parts, reference.texts[-1], REFERENCE_TOP_K))
    (directory / FILE).write_text(json.dumps(asdict(reference)), "utf-8")


def read_reference(directory: Path) -> Reference | None:
    """Return what `write_reference` wrote; None if the engine is not quantised."""
    if not (directory / FILE).is_file():
        return None
    data: dict[str, Any] = dict(read_json_object(directory / FILE))
    return Reference(data["texts"], [Scores(**scores) for scores in data["scores"]])


def check(candidate: Candidate, precision: str, directory: Path, report: Report) -> None:
    """Compare the engine with the reference scores, or with its top tokens if the engine returns no scores.

    Raises:
        EngineError: `smoke-test`: the divergence is larger than rounding explains.
    """
    reference, bound = read_reference(directory), BOUNDS.get(precision)
    if reference is None or bound is None:
        return
    try:
        card = compare(reference, candidate)
    except EngineError as error:
        if error.code != "unsupported":
            raise
        report.log(error.message)
        _check_top_tokens(reference, candidate, report)
        return
    result = f"KL divergence {card.mean_kld:.4f} nats over {card.tokens} tokens"
    # Written so that NaN fails too.
    if not card.mean_kld <= bound.limit:
        raise _diverges(f"{result}; the limit for {precision} is {bound.limit:g}")
    report.log(f"smoke test: {result}, limit {bound.limit:g}; same top token {100 * card.same_top:.0f} %")


def _check_top_tokens(reference: Reference, candidate: Candidate, report: Report) -> None:
    same, total = same_top_tokens(reference, candidate)
    result = f"{same} of {total} top tokens are those of the checkpoint"
    if same < MIN_SAME_TOP * total:
        raise _diverges(f"{result}; at least {100 * MIN_SAME_TOP:.0f} % should be")
    report.log(f"smoke test: {result}, at least {100 * MIN_SAME_TOP:.0f} % should be")


def _diverges(result: str) -> EngineError:
    return EngineError(
        "smoke-test",
        f"The engine diverges too much from its checkpoint: {result}.",
        "Prepare it again. If that does not help, choose another precision and report this with the log.",
    )


def same_top_tokens(reference: Reference, candidate: Candidate) -> tuple[int, int]:
    """Count the positions at which the engine's top token is that of the unquantised model.

    Returns:
        That number, and the number of compared positions.
    """
    positions = [
        (ids[:end], scores.top_ids[end - 1][0])
        for ids, scores in zip(reference.texts, reference.scores, strict=True)
        for end in range(STRIDE, min(len(ids), candidate.context), STRIDE)
    ]
    return sum(candidate.greedy_token(before) == token for before, token in positions), len(positions)


def compare(reference: Reference, candidate: Candidate) -> QualityCard:
    """Return one quality card over all texts, each cut to the engine's context window."""
    expected, actual = Scores([], [], []), Scores([], [], [])
    for ids, scores in zip(reference.texts, reference.scores, strict=True):
        text = ids[: candidate.context]
        expected = _concatenated(expected, scores, len(text) - 1)
        actual = _concatenated(actual, candidate.score(text, ENGINE_TOP_K), len(text) - 1)
    return quality_card(expected, actual)


def _concatenated(first: Scores, second: Scores, count: int) -> Scores:
    """Append the first `count` positions of `second` to `first`."""
    return Scores(
        logprobs=[*first.logprobs, *second.logprobs[:count]],
        top_ids=[*first.top_ids, *second.top_ids[:count]],
        top_logprobs=[*first.top_logprobs, *second.top_logprobs[:count]],
    )
