"""What was said on one side, as data."""

from __future__ import annotations

from dataclasses import dataclass, field

from engines.measure.timing import Timing
from engines.worker.protocol import Error


@dataclass
class Turn:
    """One prompt and what came of it."""

    prompt: str
    answer: str = ""
    prompt_ids: tuple[int, ...] = ()
    token_ids: tuple[int, ...] = ()
    cached: int | None = None
    """Prompt tokens that were not computed again."""
    timing: Timing | None = None
    reason: str = ""
    """Why the answer ended; empty while it goes on, and for one that failed."""
    error: Error | None = None
    attempt: int = 0
    """How often it was regenerated."""
    engine: str = ""
    """Title of the engine that answered."""
    mode: str = ""
    """Timing mode in which it was answered: figures mean nothing without it."""

    @property
    def answered(self) -> bool:
        """Whether there is something to build the next prompt on."""
        return bool(self.answer)


@dataclass
class Conversation:
    """All turns of one side, oldest first. It outlives the engine that answered."""

    system_prompt: str = ""
    turns: list[Turn] = field(default_factory=list)

    def begin(self, prompt: str, engine: str) -> Turn:
        """Start a turn."""
        turn = Turn(prompt, engine=engine)
        self.turns.append(turn)
        return turn

    def begin_again(self, engine: str) -> Turn | None:
        """Replace the last turn by a new attempt at it; None when nothing was said."""
        if not self.turns:
            return None
        last = self.turns[-1]
        self.turns[-1] = Turn(last.prompt, engine=engine, attempt=last.attempt + 1)
        return self.turns[-1]

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

    def clear(self) -> None:
        """Forget every turn."""
        self.turns.clear()


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}
