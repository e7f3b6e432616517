"""The figures of a load test, computed with numpy; imports nothing of the app."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def load_figures(stamps: Sequence[Sequence[float]]) -> dict[str, float]:
    """Return total tok/s, and medians and 95th percentiles in seconds.

    Args:
        stamps: for each request the seconds of its arrival, and then of each of its tokens.
    """
    ttft = [one[1] - one[0] for one in stamps]
    tpot = [(one[-1] - one[1]) / max(1, len(one) - 2) for one in stamps]
    tokens = sum(len(one) - 1 for one in stamps)
    seconds = max(one[-1] for one in stamps) - min(one[0] for one in stamps)
    return {
        "tokens": tokens,
        "total tok/s": tokens / seconds,
        "TTFT p50 s": float(np.percentile(ttft, 50)),
        "TTFT p95 s": float(np.percentile(ttft, 95)),
        "TPOT p50 s": float(np.percentile(tpot, 50)),
    }
