"""Checks before an answer, the warm-up, and the smoke test of a new engine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from engines.backends.base import Backend
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.worker.protocol import Sampling
from engines.worker.report import NestedReport, StageReport
from engines.worker.tokenizer import Tokenizer
from engines.worker.tokenizer_process import TokenizerProcess
from engines.worker.values import SAMPLING_LIMITS

AnyTokenizer = Tokenizer | TokenizerProcess
WARM_UP_TOKENS = 4
"""Lazy allocation and kernel selection are over after four decode steps."""
SMOKE_TOKENS = 8


def fit_sampling(sampling: Sampling, prompt_tokens: int, context: int) -> tuple[Sampling, bool]:
    """Limit max_tokens to what the prompt leaves of the context window.

    Returns:
        The sampling parameters, and whether max_tokens was reduced.

    Raises:
        EngineError: `context-full`, `empty-prompt` or `bad-sampling`.
    """
    if problem := sampling_problem(sampling):
        raise EngineError("bad-sampling", problem, "Change it in the settings.")
    if not prompt_tokens:
        raise EngineError("empty-prompt", "The prompt has no tokens.", "Write a prompt.")
    available = context - prompt_tokens
    if available < 1:
        raise EngineError(
            "context-full",
            f"The conversation is {prompt_tokens:,} tokens long and the engine holds {context:,}.",
            "Send a shorter prompt, clear the chat, prepare the engine with a longer context (F2), "
            "or let the oldest turns be left out (F6).",
        )
    return replace(sampling, max_tokens=min(sampling.max_tokens, available)), sampling.max_tokens > available


def sampling_problem(sampling: Sampling) -> str:
    """Return which sampling value is out of range, as a message for the user; empty if all are valid."""
    for name, (low, high) in SAMPLING_LIMITS.items():
        value = getattr(sampling, name)
        if not low <= value <= high:  # also true for NaN
            span = f"at least {low}" if high == math.inf else f"from {low} to {high}"
            return f"{name} is {value}; it must be {span}."
    return ""


def check_ids(token_ids: Sequence[int], vocabulary: int) -> None:
    """Reject an empty text, and token ids outside the embedding table: a GPU would abort the whole process.

    Raises:
        EngineError: `bad-tokens`.
    """
    if not token_ids:
        raise EngineError("bad-tokens", "The text has no tokens.", "Send some text.")
    invalid = next((token for token in token_ids if not 0 <= token < vocabulary), None)
    if invalid is not None:
        raise EngineError(
            "bad-tokens",
            f"Token id {invalid} is outside the model's vocabulary of {vocabulary:,}.",
            "The tokenizer may belong to another model.",
        )


def warm_up(backend: Backend, tokenizer: AnyTokenizer) -> int:
    """Generate a few tokens so that the first answer does not pay for lazy allocation.

    Returns:
        The number of tokens generated; 0 if the context window is too small.
    """
    prompt = tokenizer.plain_ids("Hello")
    available = backend.context_tokens - len(prompt)
    if available < 1:
        return 0
    generated: list[int] = []
    sampling = Sampling(max_tokens=min(WARM_UP_TOKENS, available), ignore_eos=True)
    backend.generate(prompt, sampling, frozenset(), generated.extend, lambda: False)
    return len(generated)


def smoke_test(
    backend: Backend, tokenizer: AnyTokenizer, spec: EngineSpec, directory: Path, report: StageReport
) -> None:
    """Load the new engine, generate SMOKE_TOKENS tokens and check their log-probabilities.

    This finds a broken conversion before the engine is stored.

    Raises:
        EngineError: `smoke-test`: the output is invalid, or too far from the checkpoint's
            (see `Backend.check_engine`).
    """
    backend.load(spec, Path(spec.checkpoint), directory, NestedReport(report, "smoke test"))
    generated: list[int] = []
    prompt = tokenizer.plain_ids("Hello")
    expected = min(SMOKE_TOKENS, backend.context_tokens - len(prompt))
    sampling = Sampling(max_tokens=max(expected, 1), ignore_eos=True)
    backend.generate(prompt, sampling, frozenset(), generated.extend, lambda: False)
    if len(generated) != sampling.max_tokens or not _has_valid_logprobs(backend, [*prompt, *generated]):
        raise EngineError(
            "smoke-test",
            "The engine was built, but its first answer has the wrong length or invalid log-probabilities.",
            "Try another precision. If all fail, the checkpoint's weights are damaged.",
        )
    report.log(f"smoke test ✓ {len(generated)} tokens, all finite")
    backend.check_engine(spec, directory, report)


def _has_valid_logprobs(backend: Backend, token_ids: Sequence[int]) -> bool:
    try:
        scores = backend.score(token_ids).logprobs
    except EngineError as error:
        if error.code == "unsupported":  # only the number of tokens can be checked
            return True
        raise
    return all(-1e4 < value <= 1e-3 for value in scores)
