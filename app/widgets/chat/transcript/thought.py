"""What a reasoning model thinks before it answers, apart from the answer."""

from __future__ import annotations

from dataclasses import dataclass

OPENING, CLOSING = "<think>", "</think>"


@dataclass(frozen=True)
class ParsedAnswer:
    """An answer in its two parts."""

    thought: str
    answer: str
    thinking: bool
    """Whether the thought goes on still."""


def split_reasoning(text: str) -> ParsedAnswer:
    """Part an answer at its `</think>`.

    Templates of some models write the opening tag into the prompt, so that an answer may hold the closing
    one alone.
    """
    opened = text.lstrip().startswith(OPENING)
    thought, closing, answer = text.partition(CLOSING)
    if closing:
        return ParsedAnswer(_without_tag(thought), answer.lstrip("\n"), thinking=False)
    if opened:
        return ParsedAnswer(_without_tag(text), "", thinking=True)
    return ParsedAnswer("", text, thinking=False)


def _without_tag(thought: str) -> str:
    return thought.lstrip().removeprefix(OPENING).strip("\n")
