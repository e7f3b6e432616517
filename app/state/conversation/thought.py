"""Thought and answer of a text that has both."""

from __future__ import annotations

from dataclasses import replace

from app.state.conversation.turn import Turn
from engines.worker.thought_stream import ThoughtStream
from engines.worker.thought_tags import FAMILIES, THINK


def thought_and_answer(text: str) -> tuple[str, str]:
    """Return both parts of a model's complete output, without tags.

    Of an output that has only a closing tag, the prompt had the opening one.
    """
    begins_inside = THINK.closings[0] in text and THINK.openings[0] not in text
    stream = ThoughtStream(FAMILIES, THINK if begins_inside else None)
    parts = stream.feed(text) + stream.flush()
    thought, answer = (
        "".join(part.text for part in parts if part.is_thought is kind) for kind in (True, False)
    )
    return thought, answer


def separated(turn: Turn) -> Turn:
    """Return a turn with its thought apart from its answer, which earlier releases saved as one text."""
    if turn.thought_tokens is not None or not any(tag in turn.answer for tag in THINK.all):
        return turn
    thought, answer = thought_and_answer(turn.answer)
    return replace(turn, thought=thought, answer=answer)
