"""The conversation of one side, as data."""

from __future__ import annotations

from bisect import bisect_left

from app.state.conversation.attachment import Attachment
from app.state.conversation.turn import Turn as Turn
from engines.worker.thought_history import THOUGHT

ROOT = -1
"""Parent of the first turn and of its versions."""


class Conversation:
    """The turns of one side, versions included. It outlives the engine that answered.

    Turns form a tree: each is below the one it continues, and turns below the same one are versions of each
    other. One path of the tree is shown and continued.
    """

    def __init__(self, system_prompt: str = "") -> None:
        self.system_prompt = system_prompt
        self.clear()

    def clear(self) -> None:
        """Remove every turn."""
        self.turns: list[Turn] = []
        """The path that is shown, oldest first. Read only."""
        self._path: list[int] = []
        self._all: list[Turn] = []
        self._parents: list[int] = []
        self._below: dict[int, list[int]] = {}

    def begin(self, prompt: str, engine: str, attachments: tuple[Attachment, ...] = ()) -> Turn:
        """Start a turn below the last one."""
        return self.add(Turn(prompt, engine=engine, attachments=attachments))

    def add(self, turn: Turn) -> Turn:
        """Put a turn below the last one."""
        self.record(len(self._all), self._path[-1] if self._path else ROOT, turn)
        return turn

    def begin_again(
        self,
        engine: str,
        index: int = -1,
        prompt: str | None = None,
        attachments: tuple[Attachment, ...] = (),
    ) -> Turn | None:
        """Start another version of a turn, with another prompt if given; None in an empty conversation.

        The path ends there. The turns after the version before stay below that one.
        """
        if not self.turns:
            return None
        asked = self.turns[index].asked if prompt is None else (prompt, attachments)
        turn = Turn(
            asked[0],
            attachments=asked[1],
            engine=engine,
            attempt=len(self.versions(index)),
        )
        self.record(len(self._all), self._parents[self._path[index]], turn)
        return turn

    def versions(self, index: int) -> tuple[Turn, ...]:
        """Return the versions of the turn at `index` of the path, including that turn, oldest first."""
        parent = self._parents[self._path[index]]
        return tuple(self._all[number] for number in self._below[parent])

    def choose(self, number: int) -> None:
        """Show the turn with that number, and the newest version of every turn below it.

        Raises:
            IndexError: the number is out of range.
        """
        self._show(self._path_to(range(len(self._all))[number]))
        while below := self._below.get(self._path[-1]):
            self._extend(below[-1])

    def number(self, turn: Turn) -> int:
        """Return the number of a turn, counted from 0 in the order in which the turns began."""
        numbers = range(len(self._all) - 1, -1, -1)  # backwards: it is mostly the last
        return next(number for number in numbers if self._all[number] is turn)

    @property
    def all_turns(self) -> tuple[Turn, ...]:
        """Every version of every turn, in the order in which they began."""
        return tuple(self._all)

    def parent(self, number: int) -> int:
        """Return the number of the turn above, or ROOT."""
        return self._parents[number]

    def record(self, number: int, parent: int, turn: Turn) -> None:
        """Add a turn, which ends the path, or replace one that exists with its newer state.

        Raises:
            IndexError: the number or the parent is out of range.
        """
        if not (ROOT <= parent < number <= len(self._all)):
            raise IndexError(number)
        if number < len(self._all):
            self._all[number] = turn
            place = bisect_left(self._path, number)  # numbers rise along a path
            if self._path[place : place + 1] == [number]:
                self.turns[place] = turn
            return
        self._all.append(turn)
        self._parents.append(parent)
        self._below.setdefault(parent, []).append(number)
        if parent != (self._path[-1] if self._path else ROOT):
            self._show(self._path_to(parent))
        self._extend(number)

    def _extend(self, number: int) -> None:
        self._path.append(number)
        self.turns.append(self._all[number])

    def _show(self, path: list[int]) -> None:
        self._path = path
        self.turns = [self._all[number] for number in path]

    def _path_to(self, number: int) -> list[int]:
        path = []
        while number != ROOT:
            path.append(number)
            number = self._parents[number]
        return path[::-1]

    def messages(self) -> tuple[dict[str, str], ...]:
        """Return the messages for the engine: the answered turns, then the last prompt.

        Turns without an answer are left out: chat templates want the roles to alternate.
        """
        last = [_user(turn.content) for turn in self.turns[-1:]]
        return (*_said(self.system_prompt, self.turns[:-1]), *last)

    def messages_with(
        self, system_prompt: str, content: str, above: int | None = None
    ) -> tuple[dict[str, str], ...]:
        """Return the messages with one more prompt after the first `above` turns, or after all of them."""
        return (*_said(system_prompt, self.turns[:above]), _user(content))


def _said(system_prompt: str, turns: list[Turn]) -> list[dict[str, str]]:
    messages = [{"role": "system", "content": system_prompt}] if system_prompt else []
    for turn in turns:
        if turn.answered:
            messages += [_user(turn.content), _assistant(turn)]
    return messages


def _assistant(turn: Turn) -> dict[str, str]:
    """Return the answer, and the thought apart: the chat template drops or keeps it."""
    message = {"role": "assistant", "content": turn.answer}
    return {**message, THOUGHT: turn.thought} if turn.thought else message


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}
