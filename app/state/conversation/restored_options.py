"""System prompt and sampling of a saved conversation, which are restored when it is reopened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from textwrap import shorten

from app.state.conversation.conversation import Conversation, Turn
from app.state.conversation.conversation_file import Record
from app.state.settings.sampling_fields import FIELDS
from app.state.settings.settings import SEEDS, ChatOptions, Settings
from app.terminal_text import displayable

SHOWN_PROMPT = 40
"""Characters of a system prompt that are shown."""


def restored_options(record: Record, settings: Settings) -> dict[str, ChatOptions]:
    """Return the changes of settings that restore the options of each side's last turn; empty without any.

    A side without turns keeps its options, and so does one of an older file, which has no options.
    """
    found = {f"{name}_chat": _last_options(one) for name, one in record.sides.items()}
    return {
        name: options for name, options in found.items() if options and options != getattr(settings, name)
    }


def restored_options_text(changes: dict[str, ChatOptions], settings: Settings) -> str:
    """Return what the changes are, one side a line; empty without any."""
    changed = {
        name.removesuffix("_chat").capitalize(): ", ".join(_differences(getattr(settings, name), options))
        for name, options in changes.items()
    }
    if len(changed) > 1 and len(set(changed.values())) == 1:
        changed = {"Both sides": next(iter(changed.values()))}
    lines = [f"{side}: {differences}" for side, differences in changed.items()]
    return "\n".join(["Restored the options of this conversation.", *lines]) if lines else ""


def _last_options(conversation: Conversation) -> ChatOptions | None:
    return next((options for turn in reversed(conversation.turns) if (options := _options(turn))), None)


def _options(turn: Turn) -> ChatOptions | None:
    """Return the options of the side: another version of an answer had another seed."""
    if turn.sampling is None:
        return None
    seed = (turn.sampling.seed - turn.attempt) % SEEDS
    return ChatOptions(turn.system_prompt, replace(turn.sampling, seed=seed), turn.thinking)


def _differences(before: ChatOptions, after: ChatOptions) -> Iterator[str]:
    if before.system_prompt != after.system_prompt:
        yield _prompt_words(after.system_prompt)
    if before.thinking != after.thinking:
        yield after.thinking.words or "thinking as the chat template has it"
    for field in FIELDS:
        old, new = field.text(before.sampling), field.text(after.sampling)
        if old != new:
            yield f"{field.title.lower()} {new} (was {old})"
    if before.sampling.stop != after.sampling.stop:
        yield "other stop texts"
    if before.sampling.ignore_eos != after.sampling.ignore_eos:
        yield "to the full length" if after.sampling.ignore_eos else "until the model ends"


def _prompt_words(prompt: str) -> str:
    shown = displayable(shorten(prompt, SHOWN_PROMPT, placeholder=" …"))
    return f"system prompt “{shown}”" if shown else "no system prompt"
