"""What is checked before an answer, and before a new engine is relied on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from engines.backends.base import Backend
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.worker.protocol import Sampling
from engines.worker.report import StageReport, WithinStage
from engines.worker.tokenizer import Tokenizer
from engines.worker.values import SAMPLING_LIMITS

WARM_UP_TOKENS = 4
"""The first answers pay for lazy allocation and kernel selection; four steps are past it."""
SMOKE_TOKENS = 8


def fit(sampling: Sampling, prompt_tokens: int, context: int) -> tuple[Sampling, bool]:
    """Cut max_tokens to the room that the prompt leaves; says whether it was cut.

    Raises:
        EngineError: `context-full`, `empty-prompt`, or `bad-sampling` with what is wrong with it.
    """
    if problem := sampling_problem(sampling):
        raise EngineError("bad-sampling", problem, "Change it in the settings.")
    if not prompt_tokens:
        raise EngineError("empty-prompt", "The prompt has no tokens.", "Write something.")
    room = context - prompt_tokens
    if room < 1:
        raise EngineError(
            "context-full",
            f"The conversation is {prompt_tokens:,} tokens long and the engine holds {context:,}.",
            "Send a shorter prompt, clear the chat, prepare the engine with a longer context (F2), "
            "or let the oldest turns be left out (F6).",
        )
    return replace(sampling, max_tokens=min(sampling.max_tokens, room)), sampling.max_tokens > room


def sampling_problem(sampling: Sampling) -> str:
    """What no library would accept, in words; empty when all is well."""
    for name, (low, high) in SAMPLING_LIMITS.items():
        value = getattr(sampling, name)
        if not low <= value <= high:  # also when it is not a number
            span = f"at least {low}" if high == math.inf else f"from {low} to {high}"
            return f"{name} is {value}; it must be {span}."
    return ""


def check_ids(token_ids: Sequence[int], vocabulary: int) -> None:
    """Refuse ids that the model has no row for: on a GPU they would end the whole process.

    Raises:
        EngineError: `bad-token`.
    """
    wrong = next((token for token in token_ids if not 0 <= token < vocabulary), None)
    if wrong is not None:
        raise EngineError(
            "bad-token",
            f"Token id {wrong} is not among the model's {vocabulary:,}.",
            "The tokenizer may belong to another model.",
        )


def warm_up(backend: Backend, tokenizer: Tokenizer) -> int:
    """Let the engine speak before anybody asks; returns the number of tokens."""
    prompt = tokenizer.plain_ids("Hello")
    room = backend.context_tokens - len(prompt)
    if room < 1:
        return 0
    seen: list[int] = []
    sampling = Sampling(max_tokens=min(WARM_UP_TOKENS, room), ignore_eos=True)
    backend.generate(prompt, sampling, frozenset(), seen.extend, lambda: False)
    return len(seen)


def smoke_test(backend: Backend, spec: EngineSpec, directory: Path, report: StageReport) -> None:
    """Load the new engine and let it speak: a broken conversion shows before anybody relies on it.

    Raises:
        EngineError: `smoke-test`.
    """
    tokenizer = Tokenizer(Path(spec.checkpoint))
    backend.load(spec, Path(spec.checkpoint), directory, WithinStage(report))
    seen: list[int] = []
    prompt = tokenizer.plain_ids("Hello")
    expected = min(SMOKE_TOKENS, backend.context_tokens - len(prompt))
    sampling = Sampling(max_tokens=max(expected, 1), ignore_eos=True)
    backend.generate(prompt, sampling, frozenset(), seen.extend, lambda: False)
    if len(seen) != sampling.max_tokens or not _are_probable(backend, [*prompt, *seen]):
        raise EngineError(
            "smoke-test",
            "The engine was built but its first answer is not made of probabilities.",
            "Try another precision, and report this with the log.",
        )
    report.log(f"smoke test: {tokenizer.decode(seen)!r}")
    backend.check_engine(spec, directory, report)


def _are_probable(backend: Backend, token_ids: Sequence[int]) -> bool:
    try:
        scores = backend.score(token_ids).logprobs
    except EngineError as error:
        if error.code == "unsupported":  # then the tokens have to do
            return True
        raise
    return all(-1e4 < value <= 1e-3 for value in scores)
