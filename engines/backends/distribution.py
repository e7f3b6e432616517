"""The error for logits that cannot be sampled from: NaN or infinity, or all tokens are impossible."""

from __future__ import annotations

from engines.errors import EngineError


def no_distribution() -> EngineError:
    """Return the error; sampling from such logits gives token 0 for ever, or an empty answer."""
    return EngineError(
        "no-distribution",
        "The model's output is NaN or infinite: no token can be sampled from it.",
        "The checkpoint's weights or its config.json are damaged, or its values overflow in this precision.",
    )
