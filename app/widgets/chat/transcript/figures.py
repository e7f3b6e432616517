"""The texts of a turn outside its answer: prompt, attachments, and the line of figures."""

from __future__ import annotations

from collections.abc import Sequence

from app.state.conversation.conversation import Turn
from app.state.conversation.server_words import server_words
from app.terminal_text import displayable
from app.units import count_text, rate_text, seconds_text
from app.widgets.panels.drawing import flow

REASONS = {"stop": "stop", "length": "length", "stopped": "cancelled", "context": "length (context full)"}
"""Finish reasons as shown, by the stored value."""
ATTACHED = "▤"
"""Marks the name of an attachment."""
INTERRUPTED = "interrupted: the app closed before the answer finished; R retries"
PROMPT_LINES, PROMPT_CHARACTERS = 8, 800
"""Longer prompts are cut: a pasted file would push both answers off the screen."""


def figures(turn: Turn, width: int, origin: Sequence[str] = ()) -> str:
    """Return decode tok/s, TTFT, tokens and finish reason, then `origin`; or the error.

    After a thought there is TTFO too, the time to the first token of the answer.

    The text wraps at `width` cells, between figures only. Cached prompt tokens are added if that takes no
    further line: the panel of the KV cache has them too.
    """
    if turn.error:
        # The failure card shows the hint of a dead worker, with the buttons for it.
        hint = "" if turn.error.code.startswith("worker-") else turn.error.hint
        words = f"✗ {turn.error.message} {hint}".split()
        return flow([displayable(word) for word in words], width, " ")
    timing = turn.timing
    if timing is None:
        text = {"": INTERRUPTED, "stopped": "cancelled before it began"}.get(turn.reason, "no answer")
        return flow([text, *origin], width)
    parts = [
        f"{_about(turn)}{rate_text(timing.decode_rate)}",
        f"TTFT {seconds_text(timing.ttft)}",
        f"TTFO {seconds_text(timing.ttfo)}" if turn.thought and timing.ttfo is not None else "",
        f"{_about(turn)}{count_text(timing.tokens)} token{'' if timing.tokens == 1 else 's'}",
        REASONS.get(turn.reason, turn.reason),
    ]
    parts += server_words(turn)
    text = flow([part for part in (*parts, *origin) if part], width)
    if turn.cached:
        cached = f"{count_text(turn.cached)} of {count_text(turn.prompt_tokens)} cached"
        longer = flow([part for part in (*parts, cached, *origin) if part], width)
        return longer if longer.count("\n") == text.count("\n") else text
    return text


def _about(turn: Turn) -> str:
    """Return the mark of figures that rest on an estimate of the tokens."""
    return "≈ " if turn.server and turn.server.counted_by == "estimate" else ""


def shown_attachments(turn: Turn) -> str:
    """Return the attachments' titles, one per line; their texts would push the answers off the screen."""
    return "\n".join(f"{ATTACHED} {displayable(attachment.title)}" for attachment in turn.attachments)


def shown_prompt(prompt: str) -> str:
    """Return the prompt; of a long one the beginning and its length."""
    start = "\n".join(prompt[:PROMPT_CHARACTERS].splitlines()[:PROMPT_LINES])
    if len(start) < len(prompt.rstrip()):
        start += f" … ({count_text(len(prompt))} characters)"
    return displayable(start)
