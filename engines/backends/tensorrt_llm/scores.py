"""Log-probabilities of a text from the logits of its positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engines.backends.base import Scores

ROWS = 256
"""At once: 8192 rows of 150,000 figures in fp32 are 5 GB."""


def scores_of(logits: Any, token_ids: Sequence[int], top_k: int) -> Scores:
    """`logits[i]` is what the model expects after `token_ids[i]`."""
    import torch

    picked: list[float] = []
    top_ids: list[list[int]] = []
    top_logprobs: list[list[float]] = []
    wanted = torch.tensor(list(token_ids[1:]))
    for at in range(0, len(wanted), ROWS):
        ids = wanted[at : at + ROWS]
        logprobs = logits[at : at + len(ids)].float().cpu().log_softmax(-1)
        picked += logprobs.gather(1, ids[:, None])[:, 0].tolist()
        if top_k:
            best = logprobs.topk(min(top_k, logprobs.shape[-1]))
            top_ids += best.indices.tolist()
            top_logprobs += best.values.tolist()
    return Scores(picked, top_ids, top_logprobs)
