"""Text to token ids and back, by the checkpoint's own tokenizer and chat template."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engines.errors import EngineError


class Tokenizer:
    """The tokenizer of one checkpoint. Both sides use this class, so both see the same prompt ids."""

    def __init__(self, checkpoint: Path) -> None:
        self._tokenizer = _load(checkpoint)
        self._fast = self._tokenizer.backend_tokenizer
        # Some tokenizer.json were saved with the settings of a training: prompts would be cut without a word.
        self._fast.no_truncation()
        self._fast.no_padding()
        self.eos_token_ids = _eos_token_ids(checkpoint, self._tokenizer.eos_token_id)
        """Tokens that end an answer."""

    @property
    def has_chat_template(self) -> bool:
        """False for base models: a conversation is then joined as plain text."""
        return bool(self._tokenizer.chat_template)

    def prompt_ids(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """The ids of a conversation, ready for the assistant's next words.

        Raises:
            EngineError: the checkpoint's chat template refuses these messages.
        """
        if not self.has_chat_template:
            return self.plain_ids("\n".join(message["content"] for message in messages))
        try:
            text = self._tokenizer.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=True
            )
        except Exception as error:  # templates are programs: jinja2 errors and raise_exception
            raise EngineError(
                "chat-template",
                f"The checkpoint's chat template refuses this conversation: {_first_line(error)}",
                "Some templates take no system prompt or want the roles to alternate.",
            ) from error
        return list(self._fast.encode(text, add_special_tokens=False).ids)

    def plain_ids(self, text: str) -> list[int]:
        """The ids of a text with the tokenizer's own special tokens; at least one token."""
        ids = list(self._fast.encode(text).ids)
        return ids or [min(self.eos_token_ids, default=0)]

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of token ids, without special tokens."""
        return str(self._fast.decode(list(token_ids), skip_special_tokens=True))


def _load(checkpoint: Path) -> Any:
    # AutoTokenizer imports torch: 1.3 s and 200 MB that an engine without torch should not pay.
    # The JSON file holds the whole tokenizer, so the general class reads every family.
    try:
        if (checkpoint / "tokenizer.json").is_file():
            from transformers import PreTrainedTokenizerFast

            return PreTrainedTokenizerFast.from_pretrained(checkpoint, local_files_only=True)
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(checkpoint, local_files_only=True, trust_remote_code=False)
        if tokenizer.is_fast:
            return tokenizer
        raise ValueError(f"{type(tokenizer).__name__} has no fast form")
    except Exception as error:  # tokenizers raises plain Exception for a broken file
        raise EngineError(
            "missing-tokenizer",
            f"The tokenizer of {checkpoint.name} cannot be read: {_first_line(error)}",
            "The folder needs the tokenizer.json that belongs to the model.",
        ) from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:300]


def _eos_token_ids(checkpoint: Path, from_tokenizer: int | None) -> frozenset[int]:
    found: set[int] = set() if from_tokenizer is None else {from_tokenizer}
    for name in ("generation_config.json", "config.json"):
        try:
            value = json.loads((checkpoint / name).read_bytes()).get("eos_token_id")
        except (OSError, ValueError, AttributeError):
            continue
        found |= {item for item in (value if isinstance(value, list) else [value]) if isinstance(item, int)}
    return frozenset(found)
