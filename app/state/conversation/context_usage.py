"""How much of the context window a prompt takes, as text."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from app.state.settings.settings import ContextFull
from app.units import count_text
from engines.worker.process import EngineProcess
from engines.worker.protocol import CountTokens, TokensCounted

NEAR = 0.8
"""Share of the context window from which the count is highlighted."""


class ContextLevel(StrEnum):
    """How much of the context window is left."""

    WIDE = "wide"
    NEAR = "near"
    OVER = "over"


async def count_tokens(
    process: EngineProcess,
    messages: tuple[dict[str, str], ...],
    texts: tuple[str, ...],
    template_arguments: dict[str, object],
) -> TokensCounted | None:
    """Count the tokens of a conversation, and of each text, with a loaded engine; None if it fails."""
    event = await process.ask(CountTokens(process.next_id(), messages, texts, template_arguments))
    return event if isinstance(event, TokensCounted) else None


def context_level(counted: Mapping[str, TokensCounted], full: ContextFull) -> ContextLevel:
    """Return the level of the side with less space left."""
    if any(_refused(one, full) for one in counted.values()):
        return ContextLevel.OVER
    near = any(one.tokens > NEAR * one.context for one in counted.values())
    return ContextLevel.NEAR if near else ContextLevel.WIDE


def context_words(counted: Mapping[str, TokensCounted], full: ContextFull) -> str:
    """Return `1,204 of 2,048 tokens`, for both sides where they differ, and what is left out."""
    what = _what_happens(counted, full)
    return f"{_figures(counted)} tokens{f': {what}' if what else ''}"


def _figures(counted: Mapping[str, TokensCounted]) -> str:
    uses = {(one.tokens, one.context) for one in counted.values()}
    if len(uses) == 1:
        tokens, context = uses.pop()
        return f"{count_text(tokens)} of {count_text(context)}"
    contexts = {context for _, context in uses}
    if len(contexts) == 1:
        sides = ", ".join(f"{name} {count_text(one.tokens)}" for name, one in counted.items())
        return f"{sides} of {count_text(contexts.pop())}"
    return ", ".join(
        f"{name} {count_text(one.tokens)} of {count_text(one.context)}" for name, one in counted.items()
    )


def _what_happens(counted: Mapping[str, TokensCounted], full: ContextFull) -> str:
    if any(_refused(one, full) for one in counted.values()):
        return "too long"
    left_out = max(one.left_out for one in counted.values())
    if full is ContextFull.TRIM and left_out:
        return f"{count_text(left_out)} turn{'' if left_out == 1 else 's'} left out"
    return ""


def _refused(one: TokensCounted, full: ContextFull) -> bool:
    return (one.least if full is ContextFull.TRIM else one.tokens) >= one.context
