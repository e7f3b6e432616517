"""The line under an answer, and the prompt above it, as text."""

from __future__ import annotations

from app.state.conversation.conversation import Turn
from app.state.side.pacing import displayable
from app.units import count_text, rate_text, seconds_text
from app.widgets.panels.drawing import flow

REASONS = {"stop": "ended", "length": "max tokens", "stopped": "stopped", "context": "context full"}
ATTACHED = "▤"
"""Stands before the name of what went with a prompt."""
UNFINISHED = "no answer: the app ended before it was whole; R asks again"
PROMPT_LINES, PROMPT_CHARACTERS = 8, 800
"""More of a prompt is not shown again: a pasted file would push both answers off the screen."""


def figures(turn: Turn, width: int) -> str:
    """Decode tok/s, TTFT, ITL, tokens, finish reason, timing mode; or what went wrong.

    None of them is broken inside where several lines are needed.
    """
    if turn.error:
        # A dead worker's hint stands on the side's card, with the buttons that do what it says.
        hint = "" if turn.error.code.startswith("worker-") else turn.error.hint
        words = f"✗ {turn.error.message} {hint}".split()
        return flow([displayable(word) for word in words], width, " ")
    timing = turn.timing
    if timing is None:
        return {"": UNFINISHED, "stopped": "stopped before it began"}.get(turn.reason, "no answer")
    parts = [
        rate_text(timing.decode_rate),
        f"TTFT {seconds_text(timing.ttft)}",
        f"ITL p50 {seconds_text(timing.itl_p50)} p95 {seconds_text(timing.itl_p95)}",
        f"{count_text(timing.tokens)} token{'' if timing.tokens == 1 else 's'}",
        REASONS.get(turn.reason, turn.reason),
        turn.mode,
    ]
    if turn.cached:
        parts.append(f"{count_text(turn.cached)} of {count_text(turn.prompt_tokens)} prompt tokens cached")
    return flow([part for part in parts if part], width)


def shown_attachments(turn: Turn) -> str:
    """What went with the prompt, by name: the texts would push both answers off the screen."""
    return "\n".join(f"{ATTACHED} {displayable(one.title)}" for one in turn.attachments)


def shown_prompt(prompt: str) -> str:
    """The prompt, or the beginning of a long one and how long it is."""
    start = "\n".join(prompt[:PROMPT_CHARACTERS].splitlines()[:PROMPT_LINES])
    if len(start) < len(prompt.rstrip()):
        start += f" … ({count_text(len(prompt))} characters)"
    return displayable(start)
