"""Separate the thoughts of a model from its answer while the text streams.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from engines.code_fence import open_fence
from engines.worker.thought_tags import ThoughtTags

QUOTES = "`'\""
BEFORE_A_WORD = QUOTES + "(“‘«[ \t"
"""A tag of which the answer speaks has one of these before it: the <think> tag."""
_FENCE = re.compile(r"^ *(`{3,}|~{3,})", re.MULTILINE)
"""However far it is indented: code in a list is code too."""


class Part(NamedTuple):
    """Consecutive text of either a thought or the answer."""

    is_thought: bool
    text: str
    length: int
    """How many characters of the model's output it took. Tags and what is dropped count with the thought."""


class ThoughtStream:
    """Divides a growing text into parts of thoughts and of the answer.

    A tag that has not arrived completely is held back. Tags in code or in quotes are text.
    """

    def __init__(self, families: Sequence[ThoughtTags], opened: ThoughtTags | None = None) -> None:
        """Create it.

        Args:
            families: whose tags are recognised.
            opened: the family whose opening tag ends the prompt: the text begins inside of a thought.
        """
        self._families = families
        self._opened = opened
        self._pending = ""
        """Text that may be the beginning of a tag."""
        self._blank = ""
        """Whitespace before the first text of a part: dropped if it stands next to a tag."""
        self._begun = False
        """Whether the present thought, or the answer, has text."""
        self._tagged = opened is not None
        self._thoughts = 0
        """Thoughts that have text."""
        self._answer: list[str] = []
        self._parts: list[Part] = []

    @property
    def is_thought(self) -> bool:
        """Whether the text is inside of a thought now."""
        return self._opened is not None

    @property
    def holds_text(self) -> bool:
        """Whether text is held back that may be a tag."""
        return bool(self._pending)

    def feed(self, text: str) -> list[Part]:
        """Add text, and return the parts that are certain."""
        self._pending += text
        while found := self._next_tag():
            at, tag = found
            self._take(at)
            self._pending = self._pending[len(tag) :]
            self._apply(tag)
        self._take(len(self._pending) - self._uncertain())
        return self._taken()

    def flush(self) -> list[Part]:
        """Return the rest: an incomplete tag is text."""
        self._take(len(self._pending))
        if self._blank and not self._tagged:
            self._add(self._blank, 0)
        return self._taken()

    def _tags(self) -> tuple[str, ...]:
        """Return the tags that have a meaning here."""
        opened = self._opened
        if opened is None:
            closings = () if self._begun else tuple(tag for one in self._families for tag in one.closings)
            return (*(tag for one in self._families for tag in (*one.openings, *one.dropped)), *closings)
        # Some models repeat the opening tag that ends their prompt.
        repeated = opened.openings if opened.dropped or not self._begun else ()
        return (*opened.closings, *opened.dropped, *repeated)

    def _next_tag(self) -> tuple[int, str] | None:
        """Return the first tag in the pending text that is not quoted, and where it is."""
        tags, start = self._tags(), 0
        while found := _first(self._pending, tags, start):
            at, tag = found
            if self._counts(at, tag):
                return found
            start = at + len(tag)
        return None

    def _counts(self, at: int, tag: str) -> bool:
        """Return whether a tag is meant as one: it is not in quotes, in code or a word of a sentence."""
        before = self._pending[:at]
        opened = self._opened
        if opened is not None and tag in opened.openings and not opened.dropped:
            return not before.strip()
        if opened is not None:
            quoted = before[-1:] and before[-1:] in QUOTES
            return not quoted or self._pending[at + len(tag) :][:1] not in ("", before[-1])
        if any(tag in one.dropped for one in self._families):
            return True
        said = "".join((*self._answer, before))
        if not said.strip():
            return True
        line = said.rpartition("\n")[2].rstrip("\r")
        is_word = bool(line.strip()) and line[-1] in BEFORE_A_WORD
        is_opening = any(tag in one.openings for one in self._families)
        return is_opening and not (is_word or line.count("`") % 2 or open_fence(_FENCE.findall(said)))

    def _uncertain(self) -> int:
        """Return how many characters at the end may be the beginning of a tag, or a tag in quotes."""
        text, tags = self._pending, self._tags()
        starts = {tag[0] for tag in tags}.union(QUOTES)
        if starts.isdisjoint(text):  # most texts: then no end of it is compared
            return 0
        for length in range(min(len(text), max(map(len, tags), default=0) + 1), 0, -1):
            end = text[-length:]
            if any(tag.startswith(end) and tag != end for tag in tags):
                return length
            if self.is_thought and end[0] in QUOTES and any(tag.startswith(end[1:]) for tag in tags):
                return length
        return 0

    def _apply(self, tag: str) -> None:
        """Begin a thought, end one, or drop a control token."""
        self._tagged, before = True, self._opened
        opening = next((one for one in self._families if tag in one.openings), None)
        if opening is not None:
            self._opened, self._begun = opening, False
        elif before is not None and tag in before.closings:
            self._opened, self._begun = None, bool(self._answer)
        self._append(Part(before is not None or not self._begun, "", len(tag)))

    def _take(self, length: int) -> None:
        """Move the first characters of the pending text to the present part."""
        text, self._pending = self._pending[:length], self._pending[length:]
        if not self._begun:
            bare = text.lstrip()
            blank = text[: len(text) - len(bare)]
            self._blank += blank
            self._append(Part(self.is_thought or self._tagged, "", len(blank)))
            if not bare:
                return
            text, length = self._begin() + bare, len(bare)
        self._add(text, length)

    def _begin(self) -> str:
        """Return what stands before the first text of the present part."""
        blank, self._blank, self._begun = self._blank, "", True
        if self.is_thought:
            self._thoughts += 1
            return "\n\n" if self._thoughts > 1 else ""
        return "" if self._tagged else blank

    def _add(self, text: str, length: int) -> None:
        if not self.is_thought:
            self._answer.append(text)
        self._append(Part(self.is_thought, text, length))

    def _append(self, part: Part) -> None:
        last = self._parts[-1] if self._parts else None
        if last and last.is_thought == part.is_thought:
            self._parts[-1] = Part(part.is_thought, last.text + part.text, last.length + part.length)
        elif part.length or part.text:
            self._parts.append(part)

    def _taken(self) -> list[Part]:
        parts, self._parts = self._parts, []
        return parts


def _first(text: str, tags: Sequence[str], start: int) -> tuple[int, str] | None:
    """Return the first of the tags, the longest where several begin, and where it is."""
    found = [(at, -len(tag), tag) for tag in tags if (at := text.find(tag, start)) >= 0]
    return (min(found)[0], min(found)[2]) if found else None
