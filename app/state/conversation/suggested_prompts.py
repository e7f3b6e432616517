"""Prompts to begin a conversation with."""

from __future__ import annotations

from app.state.settings.settings import DEMO

_DEMO = (
    "What can I do with this app?",
    "Explain the KV cache in detail.",
    "Why is int8 faster than bf16?",
    "Tell me a long story about a fox.",
)
"""Subjects that the demo checkpoint was trained on; the second and the fourth have long answers."""
_OTHERS = (
    "Write a Python function that checks whether a number is prime, and explain it.",
    "Explain what a KV cache is, and why it makes text generation faster.",
    "List five ways to save memory when running a language model, one sentence each.",
)
"""A coding question, an explanation and a list: their answers show what a lower precision changes."""


def suggested_prompts(checkpoint: str) -> tuple[str, ...]:
    """Return three or four prompts that suit a checkpoint.

    Args:
        checkpoint: its name as in `Side.checkpoint_name`: `demo`, a hub id or a folder's name.
    """
    return _DEMO if checkpoint == DEMO else _OTHERS
