"""A conversation as Markdown: each prompt, both answers, a table of their figures, and the blind votes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from app.state.conversation.alignment import pairs
from app.state.conversation.conversation import Turn
from app.state.conversation.conversation_file import Record
from app.state.conversation.vote_score import score_lines
from app.state.conversation.votes import Choice, Vote, Votes
from app.terminal_text import displayable
from app.units import count_text, rate_text, seconds_text
from engines.code_fence import open_fence

NAMES = ("Left", "Right")
HEAD = "| side | engine | decode | TTFT | TTFO | ITL p50 | ITL p95 | tokens | ended | timing mode |"
RULE = "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- | --- |"
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})", re.MULTILINE)


def markdown(record: Record) -> str:
    """Return the path of both sides that is shown, without other versions."""
    left, right = record.sides.values()
    parts = [f"# {_line(record.title)}", *_facts(record)]
    for number, both in enumerate(pairs(left.turns, right.turns), 1):
        parts += [*_exchange(number, both), *_vote(both, record.votes)]
    return "\n\n".join([*parts, *_score(record.votes)]) + "\n"


def _facts(record: Record) -> list[str]:
    """Return when it began, and the engines and system prompts of each side."""
    turns = [turn for conversation in record.sides.values() for turn in conversation.turns]
    began = min((turn.asked_at for turn in turns if turn.asked_at), default=None)
    when = datetime.fromtimestamp(began).astimezone().strftime(" on %Y-%m-%d at %H:%M") if began else ""
    facts = [f"A conversation in trt-playground{when}."]
    for name, conversation in zip(NAMES, record.sides.values(), strict=True):
        engines = _each(f"{turn.engine} on {turn.checkpoint or 'n/a'}" for turn in conversation.turns)
        prompts = _each(turn.system_prompt for turn in conversation.turns)
        lines = [f"- {name}: {', '.join(map(_line, engines)) or 'no engine'}"]
        lines += [f"- {name}, system prompt: {_line(prompt)}" for prompt in prompts]
        facts.append("\n".join(lines))
    return facts


def _each(words: Iterable[str]) -> list[str]:
    """Return the distinct texts that are not empty, in their order."""
    return [word for word in dict.fromkeys(words) if word]


def _exchange(number: int, both: tuple[Turn | None, Turn | None]) -> list[str]:
    answered = [(name, turn) for name, turn in zip(NAMES, both, strict=True) if turn]
    prompt = displayable(answered[0][1].content)
    parts = [f"## Prompt {number}", "\n".join(f"> {line}".rstrip() for line in prompt.split("\n"))]
    for name, turn in answered:
        parts += [f"### {name}: {_line(turn.engine)}", _answer(turn)]
    return [*parts, "\n".join([HEAD, RULE, *(_figures(name, turn) for name, turn in answered)])]


def _vote(both: tuple[Turn | None, Turn | None], votes: Votes) -> list[str]:
    left, right = both
    vote = votes.of(left, right) if left and right else None
    return [f"*Blind vote: {_vote_words(vote)}.*"] if vote else []


def _vote_words(vote: Vote) -> str:
    if vote.choice is Choice.NONE:
        return "the names were shown before a vote"
    words = f"{_line(vote.better.engine)} is better" if vote.better else vote.choice.value
    if vote.choice is Choice.TIE and vote.identical:
        words = "a tie, the answers are identical"
    return f"{words}; not counted, because the names were shown before" if vote.revealed else words


def _score(votes: Votes) -> list[str]:
    """Return the score of every vote, also of those on versions that are not shown."""
    lines = score_lines(votes)
    return ["## Blind votes", "\n".join(f"- {_line(line)}" for line in lines)] if lines else []


def _answer(turn: Turn) -> str:
    text = _closed(displayable(turn.answer).rstrip()) if turn.answer else "*No answer.*"
    if thought := displayable(turn.thought).strip():
        text = f"<details><summary>Reasoning</summary>\n\n{_closed(thought)}\n\n</details>\n\n{text}"
    for words in filter(None, (turn.merged_system_words, turn.left_out_words)):
        text = f"*For this answer {words}.*\n\n{text}"
    return f"{text}\n\n*Failed: {_line(turn.error.message)}*" if turn.error else text


def _closed(text: str) -> str:
    """Close the code block in which an answer was cut off, which would contain everything after it."""
    fence = open_fence(_FENCE.findall(text))
    return f"{text}\n{fence}" if fence else text


def _figures(name: str, turn: Turn) -> str:
    timing = turn.timing
    measured = (
        (
            rate_text(timing.decode_rate),
            *(seconds_text(one) for one in (timing.ttft, timing.ttfo, timing.itl_p50, timing.itl_p95)),
            count_text(timing.tokens),
        )
        if timing
        else ("n/a",) * 6
    )
    cells = (name, _line(turn.engine), *measured, turn.reason or "failed", turn.mode)
    return f"| {' | '.join(cells)} |"


def _line(text: str) -> str:
    """Return the text as one line that is valid in a table and a heading."""
    return displayable(" ".join(text.split())).replace("|", "\\|")
