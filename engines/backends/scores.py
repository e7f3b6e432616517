"""Log-probabilities of given tokens from logits, shared by the backends that return logits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from engines.backends.base import Scores

ROWS = 256
"""Positions per log-softmax: 8192 rows of 150,000 logits in fp32 take 5 GB, and a copy takes 5 GB more."""


def scores_from_logits(parts: Iterable[Any], token_ids: Sequence[int], top_k: int = 0) -> Scores:
    """Return the log-probabilities of `token_ids[1:]`, with the log-softmax in fp32.

    Args:
        parts: Consecutive tensors [positions, vocabulary]; row i of all of them together holds the logits
            after `token_ids[i]`, for i = 0 … n-2.
        token_ids: The n tokens to score.
        top_k: Number of most likely tokens to return for each position; 0 for none.
    """
    import torch

    logprobs: list[float] = []
    top_ids: list[list[int]] = []
    top_logprobs: list[list[float]] = []
    for part in parts:
        for rows in part.split(ROWS):
            start = len(logprobs) + 1
            targets = torch.tensor(list(token_ids[start : start + len(rows)]), device=rows.device)
            row_logprobs = rows.float().log_softmax(-1)
            logprobs += row_logprobs.gather(1, targets[:, None])[:, 0].tolist()
            if top_k:
                best = row_logprobs.topk(min(top_k, row_logprobs.shape[-1]))
                top_ids += best.indices.tolist()
                top_logprobs += best.values.tolist()
    return Scores(logprobs, top_ids, top_logprobs)
