"""Export a conversation as Markdown, or as JSON with every version, token and vote."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from textwrap import shorten

import msgspec

from app.state.conversation.conversation import ROOT, Conversation, Turn
from app.state.conversation.conversation_file import Record
from app.state.conversation.markdown_export import markdown
from app.state.conversation.record import vote_line
from app.state.conversation.vote_score import Score, VotedEngine, scores
from app.state.conversation.votes import Choice
from app.state.settings.atomic_file import PUBLIC, write_atomic

SUFFIXES = (".md", ".json")


class _Side(msgspec.Struct):
    """One side: every turn in the order in which they began, and the numbers of those that are shown."""

    shown: list[int]
    turns: msgspec.Raw


class _Version(msgspec.Struct):
    """A turn with its number and its parent."""

    number: int
    parent: int | None
    """Number of the turn above; versions of one turn have the same."""
    turn: Turn


class _Vote(msgspec.Struct):
    """A blind vote on two turns, by their numbers."""

    left: int
    right: int
    choice: Choice
    better: str | None
    """Title of the engine with the better answer."""
    identical: bool
    revealed: bool
    """Whether the names were shown before, so that it does not count."""


class _Score(msgspec.Struct):
    """The counted votes on two engines; a share is that of the first one."""

    engines: tuple[VotedEngine, VotedEngine]
    wins: tuple[int, int]
    ties: int
    both_bad: int
    share: float | None
    interval: tuple[float, float] | None
    """Wilson's, 95 %."""
    p: float | None
    """Two-sided, binomial, against 1/2; none for too few votes."""


class _Document(msgspec.Struct):
    title: str
    exported: str
    left: _Side
    right: _Side
    votes: list[_Vote]
    scores: list[_Score]
    format: str = "trt-playground conversation 1"


def exported(record: Record, suffix: str) -> bytes:
    """Return the conversation as `.md` or `.json`."""
    if suffix == ".md":
        return markdown(record).encode("utf-8", "replace")
    return _json(record)


def write_export(record: Record, path: str | Path, *, replace: bool = False) -> Path:
    """Write the conversation in the format of the path's ending, and return the absolute path.

    Raises:
        FileExistsError: the file exists, and `replace` is not set.
        OSError: the folder cannot be written, or the disk is full.
        RuntimeError: the home folder is unknown, so `~` cannot be expanded.
    """
    path = Path(path).expanduser().absolute()
    if path.exists() and not replace:
        raise FileExistsError(f"There is a file {path} already.")
    write_atomic(path, exported(record, path.suffix), PUBLIC)
    return path


def problem(text: str) -> str:
    """Return why a conversation cannot be exported to a path; empty when it can."""
    path = Path(text)
    if path.stem in ("", *SUFFIXES):
        return "Write where it shall go."
    return "" if path.suffix in SUFFIXES else "End it in .md, to read it, or in .json, for programs."


def free_path(folder: Path, title: str, suffix: str = ".md") -> Path:
    """Return a path in `folder` that is named after the title and does not exist."""
    plain = re.sub(r"[^\w\s-]", "", title)
    name = shorten(plain, 40, placeholder="") or plain.strip()[:40] or "conversation"
    path, number = folder / f"{name}{suffix}", 2
    while path.exists():
        path, number = folder / f"{name} {number}{suffix}", number + 1
    return path


def _json(record: Record) -> bytes:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    left, right = (_side(conversation) for conversation in record.sides.values())
    found = [_score(score) for score in scores(record.votes)]
    return msgspec.json.encode(_Document(record.title, now, left, right, _votes(record), found)) + b"\n"


def _votes(record: Record) -> list[_Vote]:
    lines = ((vote, vote_line(vote, record.sides)) for vote in record.votes)
    return [
        _Vote(
            line.left,
            line.right,
            line.choice,
            vote.better.engine if vote.better else None,
            vote.identical,
            vote.revealed,
        )
        for vote, line in lines
        if line
    ]


def _score(score: Score) -> _Score:
    return _Score(score.engines, score.wins, score.ties, score.both_bad, score.share, score.interval, score.p)


def _side(conversation: Conversation) -> _Side:
    numbers = {id(turn): number for number, turn in enumerate(conversation.all_turns)}
    versions = [
        _Version(number, None if (parent := conversation.parent(number)) == ROOT else parent, turn)
        for number, turn in enumerate(conversation.all_turns)
    ]
    # A line a turn: token ids one below the other would bury the text.
    lines = b",\n".join(msgspec.json.encode(version) for version in versions)
    return _Side([numbers[id(turn)] for turn in conversation.turns], msgspec.Raw(b"[\n" + lines + b"\n]"))
