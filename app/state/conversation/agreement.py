"""Whether two answers to one prompt are the same, and from which token they differ."""

from __future__ import annotations

from app.state.conversation.turn import Turn
from engines.measure.quality import first_divergent_token

CHARACTERS = 14
"""Of each answer's text after the common part."""


def agreement(left: Turn, right: Turn) -> str:
    """Return `identical, 37 tokens` or `same for 16 tokens, then “n %” / “not”`; empty if not comparable.

    Answers are comparable if both are complete or cut at the same length, to the same token ids. Where a
    server returns no ids, the texts are compared: `text identical, 120 characters`.
    """
    if _texts_comparable(left, right):
        return "".join((_guard(left, right), _text_agreement(left.answer, right.answer)))
    if not _comparable(left, right):
        return ""
    index = first_divergent_token(left.token_ids, right.token_ids)
    if index is None:
        words = f"identical, {_tokens(len(left.token_ids))}"
    else:
        start = _common_start(left.answer, right.answer)
        words = f"same for {_tokens(index)}, then {_next(left, start)} / {_next(right, start)}"
    return "".join((_guard(left, right), words))


def is_control(left: Turn, right: Turn) -> bool:
    """Return whether one engine computed both answers."""
    return left.engine_digest == right.engine_digest != ""


def _guard(left: Turn, right: Turn) -> str:
    """Return what makes the answers differ besides the engines, or that the engines are the same one."""
    if left.effective_sampling != right.effective_sampling:
        return "sampling differs: "
    if is_control(left, right):
        return "control run, one engine on both sides: "
    return ""


def _comparable(left: Turn, right: Turn) -> bool:
    same_prompt = left.prompt_digest == right.prompt_digest != ""
    return same_prompt and all(_is_complete(turn) and turn.token_ids for turn in (left, right))


def _texts_comparable(left: Turn, right: Turn) -> bool:
    """Return whether only the texts can be compared: a server does not report the token ids of one."""
    without_ids = any(turn.server and not turn.token_ids for turn in (left, right))
    same_prompt = (left.asked, left.system_prompt) == (right.asked, right.system_prompt)
    return without_ids and same_prompt and _is_complete(left) and _is_complete(right)


def _is_complete(turn: Turn) -> bool:
    return turn.reason in ("stop", "length") and not turn.error and turn.answered


def _text_agreement(left: str, right: str) -> str:
    start = _common_start(left, right)
    if start == len(left) == len(right):
        return f"text identical, {start:,} characters"
    return f"text the same for {start:,} characters, then {_after(left, start)} / {_after(right, start)}"


def _tokens(count: int) -> str:
    return "1 token" if count == 1 else f"{count:,} tokens"


def _common_start(a: str, b: str) -> int:
    """Return the number of characters with which both texts begin."""
    pairs = zip(a, b, strict=False)
    return next((index for index, (x, y) in enumerate(pairs) if x != y), min(len(a), len(b)))


def _next(turn: Turn, start: int) -> str:
    return _after(turn.answer, start)


def _after(answer: str, start: int) -> str:
    rest = answer[start:]
    if not rest:
        return "the end"
    shown = " ".join(rest[:CHARACTERS].split()) or "↵"
    return f"“{shown}{'…' if len(rest) > CHARACTERS else ''}”"
