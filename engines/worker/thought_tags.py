"""The tags in which model families enclose their thoughts.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class ThoughtTags:
    """The tags of one family. Each but the first of a kind is another spelling."""

    openings: tuple[str, ...]
    closings: tuple[str, ...]
    dropped: tuple[str, ...] = ()
    """Control tokens around thought and answer that belong to neither."""

    @property
    def all(self) -> tuple[str, ...]:
        """Every tag and dropped token."""
        return (*self.openings, *self.closings, *self.dropped)


THINK = ThoughtTags(("<think>",), ("</think>",))
"""Most families. A model may use it although neither its template nor its vocabulary says so."""
HARMONY = ThoughtTags(
    ("<|channel|>analysis", "<|channel|>commentary"),
    ("<|channel|>final",),
    # Each message of an answer is `<|start|>assistant<|channel|>NAME<|message|>TEXT<|end|>`.
    ("<|start|>assistant", "<|channel|>final", "<|message|>", "<|end|>", "<|return|>", "<|constrain|>"),
)
"""gpt-oss."""
FAMILIES = (
    THINK,
    HARMONY,
    ThoughtTags(("[THINK]",), ("[/THINK]",)),  # Magistral, Ministral
    ThoughtTags(("<thought>",), ("</thought>",)),  # EXAONE Deep
    ThoughtTags(("<thinking>",), ("</thinking>",)),
    ThoughtTags(("<reasoning>",), ("</reasoning>",)),  # Reka
    ThoughtTags(("<seed:think>",), ("</seed:think>",)),  # Seed-OSS
    ThoughtTags(("◁think▷",), ("◁/think▷",)),  # Kimi-VL
    ThoughtTags(("<|channel>thought",), ("<channel|>",)),  # Gemma 4
    ThoughtTags(("<unused94>thought",), ("<unused95>",)),  # MedGemma
    ThoughtTags(("<|START_THINKING|>",), ("<|END_THINKING|>",)),  # Command A
    ThoughtTags(("<|inner_prefix|>",), ("<|inner_suffix|>",)),  # Apertus
    ThoughtTags(("<|begin_of_thought|>",), ("<|end_of_thought|>",)),  # OpenThinker
    ThoughtTags(  # Granite 3.2
        ("Here is my thought process:", "Here's my thought process:"),
        ("Here is my response:", "Here's my response:"),
    ),
)


def tags_of(template: str, added_tokens: Collection[str]) -> tuple[ThoughtTags, ...]:
    """Return the families whose tags the chat template or the vocabulary has, and always THINK.

    Args:
        template: source of the chat template; empty without one.
        added_tokens: texts of the tokens that are never split.
    """
    return tuple(
        tags
        for tags in FAMILIES
        if tags is THINK
        or any(tag in template for tag in (*tags.openings, *tags.closings))
        or any(_is_within(token, tags) for token in added_tokens)
    )


def kept_tokens(tags: Iterable[ThoughtTags], added_tokens: Iterable[str]) -> frozenset[str]:
    """Return the tokens that are a tag or a part of one: without them a thought has no end."""
    tags = tuple(tags)
    return frozenset(
        token for token in added_tokens if token and any(token in tag for one in tags for tag in one.all)
    )


def open_tag(text: str, families: Iterable[ThoughtTags]) -> str:
    """Return the opening tag that no closing tag follows in a text; empty if there is none."""
    found = [
        (at, tag)
        for tags in families
        for tag in tags.openings
        if (at := text.rfind(tag)) > max(map(text.rfind, tags.closings))
    ]
    return max(found)[1] if found else ""


def _is_within(token: str, tags: ThoughtTags) -> bool:
    """Return whether an added token begins an opening tag, as `<|channel|>` does `<|channel|>analysis`."""
    return bool(token) and any(tag.startswith(token) and len(token) > 1 for tag in tags.openings)
