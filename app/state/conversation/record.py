"""What a conversation file holds: JSON lines, and the conversation that is rebuilt from them.

A line is written when a prompt is sent and another one when it is answered. Later lines about the same turn
replace earlier ones, so a file only grows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from app.state.conversation.conversation import ROOT, Conversation
from app.state.conversation.thought import separated
from app.state.conversation.turn import Turn
from app.state.conversation.votes import Choice, Vote, Votes


class TurnLine(msgspec.Struct, tag="said", omit_defaults=True):
    """The state of a turn when the line was written."""

    side: str
    index: int
    """Number of the turn in its conversation, counted from 0 in the order in which they began."""
    turn: Turn
    parent: int | None = None
    """Number of the turn above. Files from before there were versions have none: it is the one before."""


class ChoiceLine(msgspec.Struct, tag="chosen"):
    """Another version of a turn is shown."""

    side: str
    index: int


class SwapLine(msgspec.Struct, tag="swapped"):
    """The sides changed places."""


class NameLine(msgspec.Struct, tag="named"):
    """The user named the conversation; an empty name brings the first prompt back as the title."""

    name: str


class VoteLine(msgspec.Struct, tag="voted", omit_defaults=True):
    """A vote on the answers of two turns, which replaces an earlier one. Releases without votes skip it."""

    left: int
    """Number of the turn on the side that was the left one when the line was written."""
    right: int
    choice: Choice
    revealed: bool = False


Line = TurnLine | ChoiceLine | SwapLine | NameLine | VoteLine
_DECODER: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)
_OTHER = {"left": "right", "right": "left"}


@dataclass
class Record:
    """A saved conversation."""

    sides: dict[str, Conversation] = field(
        default_factory=lambda: {"left": Conversation(), "right": Conversation()}
    )
    name: str = ""
    """Given by the user."""
    size: int = -1
    """Bytes of the file when it was read; -1 for a conversation that was not read from a file."""
    has_gaps: bool = False
    """Whether turns are missing in the file, so that later ones have other numbers there."""
    votes: Votes = field(default_factory=Votes)

    @property
    def longest(self) -> Conversation:
        """The side with more turns; a side may have had no engine for a while."""
        return max(self.sides.values(), key=lambda conversation: len(conversation.turns))

    @property
    def title(self) -> str:
        """The name, else the first prompt or its attachments, in one line; empty without a turn."""
        turns = self.longest.turns
        first = turns[0].prompt or ", ".join(one.title for one in turns[0].attachments) if turns else ""
        return " ".join((self.name or first).split())


def read_record(path: Path) -> Record:
    """Return a saved conversation. Lines that cannot be read are skipped.

    Raises:
        OSError: the file cannot be read.
    """
    return record_of(path.read_bytes())


def read_conversation(path: Path) -> dict[str, Conversation]:
    """Return both sides of a saved conversation.

    Raises:
        OSError: the file cannot be read.
    """
    return read_record(path).sides


def record_of(data: bytes) -> Record:
    """Return the conversation that is written in these lines."""
    replay = _Replay(Record(size=len(data)))
    for line in _lines(data):
        replay.take(line)
    return replay.finish()


def lines_of(record: Record) -> Iterator[Line]:
    """Yield lines that rebuild the conversation: every turn, the versions that are shown, votes, the name."""
    for side, conversation in record.sides.items():
        for number, turn in enumerate(conversation.all_turns):
            yield TurnLine(side, number, turn, conversation.parent(number))
        if conversation.turns:
            yield ChoiceLine(side, conversation.number(conversation.turns[-1]))
    for vote in record.votes:
        if line := vote_line(vote, record.sides):
            yield line
    if record.name:
        yield NameLine(record.name)


def vote_line(vote: Vote, sides: Mapping[str, Conversation]) -> VoteLine | None:
    """Return the line of a vote; None where one of its turns is not in these conversations."""
    for one in (vote, vote.mirrored):  # the sides may have changed places since it was given
        left, right = _number(one.left, sides["left"]), _number(one.right, sides["right"])
        if left is not None and right is not None:
            return VoteLine(left, right, one.choice, one.revealed)
    return None


def _number(turn: Turn, conversation: Conversation) -> int | None:
    return next((number for number, one in enumerate(conversation.all_turns) if one is turn), None)


def encode_line(line: Line) -> bytes:
    """Return the bytes of a line, with its line break.

    An engine may send half of a surrogate pair, which is not valid in UTF-8: it is written as `?`.
    """
    try:
        return msgspec.json.encode(line) + b"\n"
    except UnicodeEncodeError:
        return msgspec.json.encode(_encodable(msgspec.to_builtins(line))) + b"\n"


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {name: _encodable(one) for name, one in value.items()}
    return [_encodable(one) for one in value] if isinstance(value, (list, tuple)) else value


def _lines(data: bytes) -> Iterator[Line]:
    for line in data.splitlines():
        try:
            yield _DECODER.decode(line)
        except ValueError:  # msgspec's errors are ValueErrors: a torn line, or another version's
            continue


class _Replay:
    """Rebuilds a conversation line by line.

    A line that was never written, because the disk was full, leaves a gap in the numbers. The turns after it
    are kept: they get the next free number, and are put below the nearest turn above that is known.
    """

    def __init__(self, record: Record) -> None:
        self.record = record
        self._numbers: dict[str, dict[int, int]] = {name: {} for name in record.sides}
        """By side: number in the conversation by number in the file."""
        self._votes: list[tuple[Conversation, int, Conversation, int, VoteLine]] = []
        """The left and the right turn of each vote, and its line. A later line may replace a turn."""

    def finish(self) -> Record:
        """Return the conversation, with the votes on the last state of each turn."""
        for left, number, right, other, line in self._votes:
            turns = left.all_turns[number], right.all_turns[other]
            self.record.votes.put(Vote(*turns, line.choice, line.revealed))
        return self.record

    def take(self, line: Line) -> None:
        """Apply one line."""
        if isinstance(line, SwapLine):
            sides, numbers = self.record.sides, self._numbers
            self.record.sides = {name: sides[_OTHER[name]] for name in sides}
            self._numbers = {name: numbers[_OTHER[name]] for name in numbers}
        elif isinstance(line, NameLine):
            self.record.name = line.name
        elif isinstance(line, VoteLine):
            self._take_vote(line)
        elif line.side not in self._numbers:
            return
        elif isinstance(line, TurnLine):
            self._take_turn(line)
        elif (number := self._numbers[line.side].get(line.index)) is not None:
            self.record.sides[line.side].choose(number)

    def _take_vote(self, line: VoteLine) -> None:
        sides = self.record.sides
        left, right = self._numbers["left"].get(line.left), self._numbers["right"].get(line.right)
        if left is not None and right is not None:
            self._votes.append((sides["left"], left, sides["right"], right, line))

    def _take_turn(self, line: TurnLine) -> None:
        conversation, numbers = self.record.sides[line.side], self._numbers[line.side]
        parent = line.index - 1 if line.parent is None else line.parent
        if not ROOT <= parent < line.index:
            return
        number = numbers.setdefault(line.index, len(numbers))
        self.record.has_gaps |= number != line.index
        conversation.record(number, min(self._known(line.side, parent), number - 1), separated(line.turn))

    def _known(self, side: str, parent: int) -> int:
        """Return the number of a turn, or of the last one before it that is known."""
        numbers = self._numbers[side]
        if parent in numbers or parent == ROOT:
            return numbers.get(parent, ROOT)
        self.record.has_gaps = True
        return numbers[max(known)] if (known := [one for one in numbers if one < parent]) else ROOT
