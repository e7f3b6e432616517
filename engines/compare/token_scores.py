"""What an engine expects at each token of an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp

from engines.compare.asked_prompt import AskedPrompt
from engines.compare.comparison import TokenScore
from engines.compare.engine import ComparedEngine
from engines.compare.passages import alternatives
from engines.worker import protocol

TOP = 10
"""Most likely tokens that are kept for each position."""


@dataclass(frozen=True)
class ScoredAnswer:
    """An answer with the probabilities of the engine that computed it."""

    token_ids: tuple[int, ...]
    pieces: tuple[str, ...]
    """The text of each token."""
    scores: tuple[TokenScore, ...]


async def score_answer(engine: ComparedEngine, prompt: AskedPrompt) -> ScoredAnswer:
    """Return what an engine expects at each token of the prompt's answer.

    Raises:
        EngineError: the prompt has other token ids now, or the engine cannot score.
    """
    tokens = await engine.tokenize_prompt(prompt)
    prompt.check(tokens.token_ids)
    ids = prompt.answer_ids
    scored = of_answer(await engine.score((*tokens.token_ids, *ids), TOP), len(ids))
    texts = await engine.texts_of(ids_of(ids, scored))
    pieces = tuple(texts[token] for token in ids)
    return ScoredAnswer(ids, pieces, token_scores(scored, [0.0] * len(ids), texts))


def of_answer(scored: protocol.Scored, tokens: int) -> protocol.Scored:
    """Return the scores of the last `tokens` tokens: those of the answer."""
    return replace(
        scored,
        logprobs=scored.logprobs[-tokens:],
        top_ids=scored.top_ids[-tokens:],
        top_logprobs=scored.top_logprobs[-tokens:],
        ranks=scored.ranks[-tokens:],
        kl=scored.kl[-tokens:],
    )


def ids_of(token_ids: Sequence[int], scored: protocol.Scored) -> set[int]:
    """Return the ids of these tokens and of all alternatives, for one call: each loads the tokenizer."""
    return {*token_ids, *(token for row in scored.top_ids for token in row)}


def token_scores(
    scored: protocol.Scored, divergences: Sequence[float], texts: Mapping[int, str]
) -> tuple[TokenScore, ...]:
    return tuple(
        TokenScore(exp(logprob), alternatives(scored, index, texts), kl)
        for index, (logprob, kl) in enumerate(zip(scored.logprobs, divergences, strict=True))
    )
