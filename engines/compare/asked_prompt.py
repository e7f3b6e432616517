"""A prompt, and the answer that was given to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from engines.errors import EngineError
from engines.worker.context_window import prompt_digest


@dataclass(frozen=True)
class AskedPrompt:
    """A prompt whose answer is compared."""

    title: str
    messages: tuple[dict[str, str], ...]
    """The conversation, its last message the prompt."""
    answer_ids: tuple[int, ...] = ()
    """The reference's answer, if it was computed already; otherwise it answers greedily."""
    prompt_digest: str = ""
    """Of the prompt's token ids when that answer was computed; empty if unknown."""
    template_arguments: dict[str, object] = field(default_factory=dict)
    """What the chat template got with the conversation."""

    def check(self, token_ids: Sequence[int]) -> None:
        """Check that these are the token ids to which the answer was given.

        Raises:
            EngineError: `other-prompt`.
        """
        if self.prompt_digest and self.prompt_digest != prompt_digest(token_ids):
            raise EngineError(
                "other-prompt",
                "The answer was computed for other token ids: the chat template, the tokenizer or the system "
                "prompt has changed since.",
                "Regenerate the answer, then compare.",
            )
