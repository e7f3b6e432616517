"""One prompt and its answer, as data."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.state.conversation.attachment import Attachment, with_attachments
from app.state.conversation.token_stamps import TokenStamps
from app.units import count_text
from engines.measure.timing import Timing
from engines.worker.protocol import Error, Sampling, ServerAnswer
from engines.worker.template_arguments import Thinking

_OTHER = "this prompt does not repeat them"
_CAUSES = {
    "template": "the chat template writes them differently in this prompt",
    "tokens": "their text, sent again, has other tokens than were generated",
}


@dataclass
class Turn:
    """One prompt and its answer."""

    prompt: str
    answer: str = ""
    """Without the thoughts."""
    prompt_tokens: int = 0
    """Length of the prompt with the conversation before it."""
    prompt_digest: str = ""
    """Digest of the prompt's token ids. The ids would repeat the conversation in each of its turns."""
    token_ids: tuple[int, ...] = ()
    cached: int | None = None
    """Prompt tokens that were not computed again."""
    timing: Timing | None = None
    reason: str = ""
    """Why the answer ended; empty while it is generated, and for one that failed."""
    error: Error | None = None
    attempt: int = 0
    """How many versions came before it."""
    engine: str = ""
    """Title of the engine that answered."""
    engine_digest: str = ""
    """Its fingerprint and KV precision: equal for two answers of the same engine."""
    mode: str = ""
    """Timing mode of the answer, without which its figures cannot be compared."""
    own_gpu: bool = False
    """Whether the engine that answered at the same time ran on another GPU, so that neither slowed down the
    other."""
    sampling: Sampling | None = None
    """Sampling parameters, with the seed of this version."""
    ignored_sampling: tuple[str, ...] = ()
    """Names of the parameters that the engine ignored."""
    thinking: Thinking = field(default_factory=Thinking)
    """As it was chosen for the side."""
    template_arguments: dict[str, object] = field(default_factory=dict)
    """What of it the chat template got, by the template's variable."""
    checkpoint: str = ""
    """Name of the checkpoint that answered."""
    system_prompt: str = ""
    asked_at: float | None = None
    """Seconds since 1970."""
    attachments: tuple[Attachment, ...] = ()
    """Attachments of the prompt."""
    left_out: int = 0
    """How many of the oldest turns were not sent, because they did not fit in the context window."""
    context: int = 0
    """Context window of the engine, in tokens."""
    busy_percent: float | None = None
    """What other programs used of the processor or of the GPU, in percent; None if it was not measured."""

    stamps: TokenStamps | None = None
    """When its tokens arrived; None for answers of releases that did not save it."""
    machine: str = ""
    """The device that computed it, by the vendor's name."""
    versions: dict[str, str] = field(default_factory=dict)
    """Library to version, of the engine."""
    server: ServerAnswer | None = None
    """What the server that answered reports of it; None for an engine on this machine."""
    parameters: int | None = None
    """Number of parameters of the checkpoint."""
    merged_system: bool = False
    """Whether the system prompt was sent in the first prompt, because the chat template takes none."""
    rewritten: int = 0
    """Tokens of the turns before that this prompt did not repeat, so that the KV cache missed them."""
    rewritten_cause: str = ""
    """Why, as in `engines.worker.rewritten_turns`."""
    thought: str = ""
    """What the model thought before it answered, without tags."""
    thought_tokens: int | None = None
    """How many of its tokens were thoughts, tags included; None for answers of releases that did not separate
    them, whose thought is in `answer`."""

    @property
    def effective_sampling(self) -> Sampling | None:
        """The parameters that had an effect; those that the engine ignored have their defaults."""
        return self.sampling.without(self.ignored_sampling) if self.sampling else None

    @property
    def answer_tokens(self) -> int:
        """Tokens of the answer, by the server's count where it has no ids."""
        return self.server.tokens if self.server else len(self.token_ids)

    @property
    def content(self) -> str:
        """The prompt as it was sent."""
        return with_attachments(self.prompt, self.attachments)

    @property
    def left_out_words(self) -> str:
        """How many turns were not sent and why; empty where all were."""
        if not self.left_out:
            return ""
        were = "was" if self.left_out == 1 else "were"
        turns = "turn" if self.left_out == 1 else f"{count_text(self.left_out)} turns"
        return f"the first {turns} {were} left out: the context holds {count_text(self.context)} tokens"

    @property
    def merged_system_words(self) -> str:
        """That the system prompt was sent in another way; empty where it was not."""
        if not self.merged_system:
            return ""
        return "the system prompt was sent in the first prompt: the chat template takes none"

    @property
    def rewritten_words(self) -> str:
        """Why the KV cache missed tokens of earlier turns; empty where it did not."""
        if not self.rewritten:
            return ""
        tokens = "1 token" if self.rewritten == 1 else f"{count_text(self.rewritten)} tokens"
        return f"the KV cache missed {tokens} of earlier turns: {_CAUSES.get(self.rewritten_cause, _OTHER)}"

    @property
    def asked(self) -> tuple[str, tuple[Attachment, ...]]:
        """The key by which turns of both sides are the same question."""
        return self.prompt, self.attachments

    @property
    def output_length(self) -> int:
        """Characters of thought and answer."""
        return len(self.thought) + len(self.answer)

    def output_until(self, characters: int) -> tuple[str, str]:
        """Return the thought and the answer when that many characters of both had arrived."""
        return self.thought[:characters], self.answer[: max(0, characters - len(self.thought))]

    @property
    def answered(self) -> bool:
        """Whether there is an answer that the next prompt can continue."""
        return bool(self.answer)
