"""One prompt and what came of it, as data."""

from __future__ import annotations

from dataclasses import dataclass

from app.state.conversation.attachment import Attachment, with_attachments
from app.units import count_text
from engines.measure.timing import Timing
from engines.worker.protocol import Error, Sampling


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
    attachments: tuple[Attachment, ...] = ()
    """What went with the prompt."""
    left_out: int = 0
    """How many of the turns above, the oldest, were not sent: the context held no more."""
    context: int = 0
    """Tokens that the engine held."""

    @property
    def content(self) -> str:
        """The prompt as it was sent."""
        return with_attachments(self.prompt, self.attachments)

    @property
    def left_out_words(self) -> str:
        """What was not sent and why; empty where everything was."""
        if not self.left_out:
            return ""
        were = "was" if self.left_out == 1 else "were"
        turns = "turn" if self.left_out == 1 else f"{count_text(self.left_out)} turns"
        return f"the first {turns} {were} left out: the context holds {count_text(self.context)} tokens"

    @property
    def asked(self) -> tuple[str, tuple[Attachment, ...]]:
        """What makes two turns the same question."""
        return self.prompt, self.attachments

    @property
    def answered(self) -> bool:
        """Whether there is something to build the next prompt on."""
        return bool(self.answer)
