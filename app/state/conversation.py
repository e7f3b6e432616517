"""What was said on one side, as data."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from engines.measure.timing import Timing
from engines.worker.protocol import Error, Sampling

ROOT = -1
"""Stands for what is above the first turn."""


@dataclass
class Turn:
    """One prompt and what came of it."""

    prompt: str
    answer: str = ""
    prompt_tokens: int = 0
    """Length of what the engine was asked, with everything said before."""
    prompt_digest: str = ""
    """Of its token ids: the ids themselves would hold the whole conversation again, in each of its turns."""
    token_ids: tuple[int, ...] = ()
    cached: int | None = None
    """Prompt tokens that were not computed again."""
    timing: Timing | None = None
    reason: str = ""
    """Why the answer ended; empty while it goes on, and for one that failed."""
    error: Error | None = None
    attempt: int = 0
    """How many versions came before it."""
    engine: str = ""
    """Title of the engine that answered."""
    mode: str = ""
    """Timing mode in which it was answered: figures mean nothing without it."""
    sampling: Sampling | None = None
    """How the tokens were chosen, its own seed included."""
    checkpoint: str = ""
    """Name of the checkpoint that answered."""
    system_prompt: str = ""
    asked_at: float | None = None
    """Seconds since 1970."""

    @property
    def answered(self) -> bool:
        """Whether there is something to build the next prompt on."""
        return bool(self.answer)


class Conversation:
    """What was said on one side, versions included. It outlives the engine that answered.

    Turns are a tree: each stands below the one it goes on from, and turns below the same one are versions
    of each other. One path of it is shown, and built on.
    """

    def __init__(self, system_prompt: str = "") -> None:
        self.system_prompt = system_prompt
        self.clear()

    def clear(self) -> None:
        """Forget every turn."""
        self.turns: list[Turn] = []
        """The path that is shown, oldest first. To be read only."""
        self._path: list[int] = []
        self._all: list[Turn] = []
        self._parents: list[int] = []
        self._below: dict[int, list[int]] = {}

    def begin(self, prompt: str, engine: str) -> Turn:
        """Start a turn below the last one."""
        return self.add(Turn(prompt, engine=engine))

    def add(self, turn: Turn) -> Turn:
        """Put a turn below the last one."""
        self.record(len(self._all), self._path[-1] if self._path else ROOT, turn)
        return turn

    def begin_again(self, engine: str, index: int = -1, prompt: str | None = None) -> Turn | None:
        """Start another version of a turn, with another prompt if there is one; None when nothing was said.

        The path ends there. What followed the version before stays below that one.
        """
        if not self.turns:
            return None
        turn = Turn(
            self.turns[index].prompt if prompt is None else prompt,
            engine=engine,
            attempt=len(self.versions(index)),
        )
        self.record(len(self._all), self._parents[self._path[index]], turn)
        return turn

    def versions(self, index: int) -> tuple[Turn, ...]:
        """The versions of the turn at `index` of the path, that one included, oldest first."""
        parent = self._parents[self._path[index]]
        return tuple(self._all[number] for number in self._below[parent])

    def choose(self, number: int) -> None:
        """Show the turn of that number, and below it the newest of everything.

        Raises:
            IndexError: there is no such turn.
        """
        self._show(self._path_to(range(len(self._all))[number]))
        while below := self._below.get(self._path[-1]):
            self._extend(below[-1])

    def number(self, turn: Turn) -> int:
        """Which turn of the conversation it is, counted from 0 as they began."""
        numbers = range(len(self._all) - 1, -1, -1)  # backwards: it is mostly the last
        return next(number for number in numbers if self._all[number] is turn)

    @property
    def all_turns(self) -> tuple[Turn, ...]:
        """Every version of every turn, as they began."""
        return tuple(self._all)

    def parent(self, number: int) -> int:
        """Number of the turn above, or ROOT."""
        return self._parents[number]

    def record(self, number: int, parent: int, turn: Turn) -> None:
        """Put a turn in its place: a new one, which ends the path, or the newer state of one that is there.

        Raises:
            IndexError: there is no place for such a number or below such a parent.
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
        """What the engine is asked: the answered turns, then the last prompt.

        Turns without an answer are left out: chat templates want the roles to alternate.
        """
        messages = [{"role": "system", "content": self.system_prompt}] if self.system_prompt else []
        for turn in self.turns[:-1]:
            if turn.answered:
                messages += [_user(turn.prompt), {"role": "assistant", "content": turn.answer}]
        if self.turns:
            messages.append(_user(self.turns[-1].prompt))
        return tuple(messages)


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}
