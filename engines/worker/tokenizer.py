"""Convert text to token ids and back with the checkpoint's tokenizer and chat template."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engines.errors import EngineError


class Tokenizer:
    """The tokenizer of one checkpoint. All backends use this class, so that all get the same prompt ids.

    Raises:
        EngineError: `missing-tokenizer`.
    """

    def __init__(self, checkpoint: Path) -> None:
        self._tokenizer = _load(checkpoint)
        self._fast = self._tokenizer.backend_tokenizer
        # Some tokenizer.json files contain settings of the training, which would silently truncate prompts.
        self._fast.no_truncation()
        self._fast.no_padding()
        self.eos_token_ids = _eos_token_ids(checkpoint, self._tokenizer.eos_token_id)
        """End-of-sequence tokens."""

    @property
    def has_chat_template(self) -> bool:
        """Whether there is a chat template. Base models have none: messages are then joined as plain text."""
        return bool(self._tokenizer.chat_template)

    def prompt_ids(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """Return the ids of a conversation, with the generation prompt of the assistant.

        Raises:
            EngineError: `chat-template`: the checkpoint's chat template rejects these messages.
        """
        if not self.has_chat_template:
            return self.plain_ids("\n".join(message["content"] for message in messages))
        try:
            text = self._tokenizer.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=True
            )
        except Exception as error:  # templates can fail in any way: jinja2 errors and raise_exception
            raise EngineError(
                "chat-template",
                f"The checkpoint's chat template rejects this conversation: {_first_line(error)}",
                "Some templates accept no system prompt or require the roles to alternate.",
            ) from error
        return list(self._fast.encode(text, add_special_tokens=False).ids)

    def plain_ids(self, text: str) -> list[int]:
        """Return the ids of a text with the special tokens that the tokenizer adds; at least one id."""
        ids = list(self._fast.encode(text).ids)
        return ids or [min(self.eos_token_ids, default=0)]

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of token ids, without special tokens."""
        return str(self._fast.decode(list(token_ids), skip_special_tokens=True))


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
    except Exception as error:  # tokenizers raises a plain Exception for a broken file
        raise EngineError(
            "missing-tokenizer",
            f"The tokenizer of {checkpoint.name} cannot be read: {_first_line(error)}",
            "The folder needs the model's tokenizer.json.",
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
