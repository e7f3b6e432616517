"""Log-probabilities of given tokens from logits, shared by the backends that return logits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from engines.backends.base import Scores
from engines.worker.logprob_rows import SMALLEST_ROW, RowReader, RowWriter

ROWS = 256
"""Positions per log-softmax: 8192 rows of 150,000 logits in fp32 take 5 GB, and a copy takes 5 GB more."""


def scores_from_logits(
    parts: Iterable[Any],
    token_ids: Sequence[int],
    top_k: int = 0,
    reference: RowReader | None = None,
    keep: RowWriter | None = None,
) -> Scores:
    """Return the log-probabilities of `token_ids[1:]`, with the log-softmax in fp32 on the logits' device.

    Args:
        parts: Consecutive tensors [positions, vocabulary]; row i of all of them together holds the logits
            after `token_ids[i]`, for i = 0 … n-2.
        token_ids: The n tokens to score.
        top_k: Number of most likely tokens to return for each position; 0 for none.
        reference: Rows to compare with: the result then has their KL divergence.
        keep: Where this engine's rows are written.
    """
    import torch

    scores = Scores([])
    for part in parts:
        for logits in part.split(ROWS):
            start = len(scores.logprobs)
            rows = logits.float().log_softmax(-1)
            targets = torch.tensor(list(token_ids[start + 1 : start + 1 + len(rows)]), device=rows.device)
            base = None
            if reference:
                # A copy: the rows are a view of a read-only file.
                half = torch.tensor(reference.rows(start, start + len(rows), rows.shape[1]))
                base = half.to(rows.device).float().log_softmax(-1)
            _add(scores, rows, targets, top_k, base)
            if keep:
                keep.write(rows.clamp_min(SMALLEST_ROW).half().cpu().numpy())
    return scores


def _add(scores: Scores, rows: Any, targets: Any, top_k: int, base: Any) -> None:
    """Add the scores of a few positions.

    Args:
        rows: Log-probabilities, [positions, vocabulary].
        targets: The tokens of the text at these positions, [positions].
        base: The reference's log-probabilities in fp32 on the same device, [positions, vocabulary], or None.
    """
    import torch

    chosen = rows.gather(1, targets[:, None])
    scores.logprobs.extend(chosen[:, 0].tolist())
    if top_k:
        best = rows.topk(min(top_k, rows.shape[-1]))
        scores.top_ids.extend(best.indices.tolist())
        scores.top_logprobs.extend(best.values.tolist())
        # In int32: the sum in int64, the default, takes six times as long.
        scores.ranks.extend((rows > chosen).sum(-1, dtype=torch.int32).tolist())
    if base is not None:
        terms = base.exp() * (base - rows.clamp_min(SMALLEST_ROW))
        scores.kl.extend(terms.sum(-1).clamp_min(0).tolist())
