"""Separate the reasoning of a model from its answer."""

from __future__ import annotations

from dataclasses import dataclass

OPENING, CLOSING = "<think>", "</think>"


@dataclass(frozen=True)
class ParsedAnswer:
    """Reasoning and answer of a model's output."""

    reasoning: str
    answer: str
    is_open: bool
    """True until the closing tag has arrived."""


def split_reasoning(text: str) -> ParsedAnswer:
    """Split an output at its `</think>`.

    The chat templates of some models put the opening tag into the prompt, so the output may contain only the
    closing tag.
    """
    opened = text.lstrip().startswith(OPENING)
    reasoning, closing, answer = text.partition(CLOSING)
    if closing:
        return ParsedAnswer(_without_tag(reasoning), answer.lstrip("\n"), is_open=False)
    if opened:
        return ParsedAnswer(_without_tag(text), "", is_open=True)
    return ParsedAnswer("", text, is_open=False)


def _without_tag(reasoning: str) -> str:
    return reasoning.lstrip().removeprefix(OPENING).strip("\n")
