"""Convert text to token ids and back with the checkpoint's tokenizer and chat template."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from engines.errors import EngineError, first_line
from engines.plan.checkpoint.json_file import read_json_object

LARGEST_ID = 2**31 - 1


class Tokenizer:
    """The tokenizer of one checkpoint. All backends use this class, so that all get the same prompt ids.

    It runs what strangers wrote, in this process and without limits: see `tokenizer_process`.

    Raises:
        EngineError: `missing-tokenizer`.
    """

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint
        self._tokenizer = _load(checkpoint)
        self._fast = self._tokenizer.backend_tokenizer
        # Some tokenizer.json files contain settings of the training, which would silently truncate prompts.
        self._fast.no_truncation()
        self._fast.no_padding()
        self.eos_token_ids = _eos_token_ids(checkpoint, self._tokenizer.eos_token_id)
        """End-of-sequence tokens."""
        self.stopped: Callable[[], bool] = lambda: False
        """Not asked here; see `TokenizerProcess.stopped`."""

    @property
    def counting(self) -> Tokenizer:
        """The tokenizer for other threads."""
        return self

    def close(self) -> None:
        """Release nothing; see `TokenizerProcess.close`."""

    @property
    def has_chat_template(self) -> bool:
        """Whether there is a chat template. Base models have none: messages are then joined as plain text."""
        return bool(self._tokenizer.chat_template)

    def prompt_ids(
        self, messages: Sequence[dict[str, str]], on_text: Callable[[str], None] = lambda text: None
    ) -> list[int]:
        """Return the ids of a conversation, with the generation prompt of the assistant.

        Args:
            on_text: called with the text that the chat template made, before it is tokenized.

        Raises:
            EngineError: `chat-template`: the checkpoint's chat template rejects these messages.
        """
        if not self.has_chat_template:
            text = "\n".join(message["content"] for message in messages)
            on_text(text)
            return self.plain_ids(text)
        text = self._render(messages)
        on_text(text)
        return list(self._fast.encode(encodable(text), add_special_tokens=False).ids)

    def _render(self, messages: Sequence[dict[str, str]]) -> str:
        try:
            text = self._tokenizer.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=True
            )
        except MemoryError:
            raise
        except Exception as error:  # templates can fail in any way: jinja2 errors and raise_exception
            raise EngineError(
                "chat-template",
                f"The checkpoint's chat template rejects this conversation: {first_line(error)}",
                "Some templates accept no system prompt or require the roles to alternate.",
            ) from error
        return str(text)

    def plain_ids(self, text: str) -> list[int]:
        """Return the ids of a text with the special tokens that the tokenizer adds; at least one id."""
        ids = list(self._fast.encode(encodable(text)).ids)
        return ids or [min(self.eos_token_ids, default=0)]

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of token ids, without special tokens."""
        return str(self._fast.decode(list(token_ids), skip_special_tokens=True))


def encodable(text: str) -> str:
    """Return the text with `?` for lone surrogates, which no tokenizer takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def import_library(checkpoint: Path) -> None:
    """Import what `Tokenizer` needs for this checkpoint, so that processes forked later share it."""
    import jinja2.sandbox  # noqa: F401
    from transformers.utils import chat_template_utils  # noqa: F401

    if (checkpoint / "tokenizer.json").is_file():
        from transformers import PreTrainedTokenizerFast  # noqa: F401
    else:
        from transformers import AutoTokenizer  # noqa: F401


def _load(checkpoint: Path) -> Any:
    # AutoTokenizer imports torch, which costs 1.3 s and 200 MB that an engine without torch does not need.
    # tokenizer.json defines the complete tokenizer, so the generic class reads every family.
    try:
        if (checkpoint / "tokenizer.json").is_file():
            from transformers import PreTrainedTokenizerFast

            return PreTrainedTokenizerFast.from_pretrained(checkpoint, local_files_only=True)
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(checkpoint, local_files_only=True, trust_remote_code=False)
        if tokenizer.is_fast:
            return tokenizer
        raise ValueError(f"{type(tokenizer).__name__} has no fast version")
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # tokenizers raises Exception, and BaseException for a panic
        raise unreadable(checkpoint, first_line(error)) from error


def unreadable(checkpoint: Path, why: str) -> EngineError:
    """Return the error for a tokenizer that cannot be loaded."""
    return EngineError(
        "missing-tokenizer",
        f"The tokenizer of {checkpoint.name} cannot be read: {why}",
        "The folder needs the model's tokenizer.json.",
    )


def _eos_token_ids(checkpoint: Path, from_tokenizer: int | None) -> frozenset[int]:
    found: set[int] = set() if from_tokenizer is None else {from_tokenizer}
    for name in ("generation_config.json", "config.json"):
        try:
            value = read_json_object(checkpoint / name).get("eos_token_id")
        except EngineError:
            continue
        found |= {item for item in (value if isinstance(value, list) else [value]) if type(item) is int}
    return frozenset(item for item in found if 0 <= item <= LARGEST_ID)
