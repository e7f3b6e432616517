"""Code as tokens, line by line: each line is read once, whatever the length of the code above it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pygments.lexer import ExtendedRegexLexer, Lexer, RegexLexer  # type: ignore[import-untyped]
from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
from pygments.token import Error, Text, Whitespace  # type: ignore[import-untyped]
from pygments.util import ClassNotFound  # type: ignore[import-untyped]

Token = tuple[tuple[str, ...], str]
"""A type of Pygments, and the text of the token."""

LONGEST_LINE = 2_000
"""Longer lines, such as minified code, have no colours: they would be read again with each new token."""
_PAIRS = {
    "/*": "*/",
    "<!--": "-->",
    "(*": "*)",
    "{-": "-}",
    "--[[": "]]",
    "=begin": "=end",
    '"""': '"""',
    "'''": "'''",
    "`": "`",
}
"""Comments and texts of several lines that many of Pygments' lexers match at once."""
LONGEST_COMMENT = 100
"""Lines of a comment that is read again when it ends."""
_INNER = {"<script": ("</script", "javascript"), "<style": ("</style", "css")}
"""Elements of HTML in another language: what ends them, and the language."""


_TEXTS = {"Comment", "String"}


class CodeTokens:
    """The tokens of code that grows by lines, in one language.

    A lexer continues with the states that it had at the end of the line before. Where it has none, a line is
    read by itself. A comment of several lines is read again, once, as it ends.
    """

    def __init__(self, language: str) -> None:
        """Begin code in the language named after an opening fence; unknown languages have no colours."""
        self._lexer = _lexer(language)
        self._states = ["root"]
        self._held: tuple[int, list[str], str] | None = None
        """The line in which a comment began, the states before that line, and what ends the comment."""
        self._inner: tuple[str, int, CodeTokens] | None = None
        """Code in another language: what ends it, its first line, and its tokens."""
        self.lines: list[list[Token]] = []
        """The tokens of each line, without line breaks."""
        self.sources: list[str] = []
        """The lines."""

    def add(self, line: str) -> int:
        """Read the next complete line; return the number of the first line whose tokens are new."""
        self.sources.append(line)
        if self._inner and self._inner[0] not in line.lower():
            _, first, inner = self._inner
            first += inner.add(line)
            self.lines[first:] = inner.lines[first - self._inner[1] :]
            return first
        before = ["root"] if self._inner else list(self._states)
        self._states, number = list(before), len(self.lines)
        self.lines += self._read(line, self._states)
        self._inner = self._begin_inner(line)
        if self._held and self._held[2] in line:
            return self._reread()
        if self._held is None and (closing := _unclosed(self.lines[number])):
            self._held = number, before, closing
        return number

    def _begin_inner(self, line: str) -> tuple[str, int, CodeTokens] | None:
        if self._lexer is None or "html" not in self._lexer.aliases:
            return None
        for opening, (closing, language) in _INNER.items():
            if opening in line.lower() and closing not in line.lower().rpartition(opening)[2]:
                return closing, len(self.lines), CodeTokens(language)
        return None

    def begun(self, line: str) -> list[Token]:
        """Return the tokens of a line that is not complete."""
        if self._inner and self._inner[0] not in line.lower():
            return self._inner[2].begun(line)
        return self._read(line, list(self._states))[0]

    def _read(self, text: str, states: list[str]) -> list[list[Token]]:
        """Return the tokens of each line of a text, and set the states after them."""
        plain: list[list[Token]] = [[(Text, line)] for line in text.split("\n")]
        if self._lexer is None or len(text) > LONGEST_LINE * len(plain):
            return plain
        try:
            return _by_lines(_lexed(self._lexer, f"{text}\n", states))[: len(plain)]
        except Exception:
            return plain

    def _reread(self) -> int:
        """Read the lines of a comment that has ended as one text."""
        assert self._held
        first, states, _ = self._held
        self._held = None
        if len(self.lines) - first > LONGEST_COMMENT:
            return len(self.lines) - 1
        self.lines[first:] = self._read("\n".join(self.sources[first:]), states)
        self._states = states
        return first


def _lexer(language: str) -> Lexer | None:
    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=True)
    except (ClassNotFound, ValueError):
        return None


def _unclosed(tokens: list[Token]) -> str:
    """Return what ends the comment that a line begins, where the lexer has not seen that it is one."""
    for opening, closing in _PAIRS.items():
        shown = (text for kind, text in tokens if text.startswith(opening) or not _TEXTS & set(kind))
        _, opened, after = "".join(shown).partition(opening)
        ends, begins = after.count(closing), after.count(opening)
        if opened and (ends <= begins if opening != closing else ends % 2 == 0):
            return closing
    return ""


def _by_lines(tokens: Iterable[Token]) -> list[list[Token]]:
    lines: list[list[Token]] = [[]]
    for kind, text in tokens:
        first, *others = text.split("\n")
        if first:
            lines[-1].append((kind, first))
        lines += [[(kind, line)] if line else [] for line in others]
    return lines


def _lexed(lexer: Lexer, text: str, states: list[str]) -> list[Token]:
    """Return the tokens of complete lines, and set the states to those after them, if there are any."""
    if not isinstance(lexer, RegexLexer) or isinstance(lexer, ExtendedRegexLexer):
        return [(kind, value) for _, kind, value in lexer.get_tokens_unprocessed(text)]
    before = tuple(states)
    found = list(_matched(lexer, text, states))
    read = type(lexer).get_tokens_unprocessed
    if read is RegexLexer.get_tokens_unprocessed or read.__code__.co_argcount < 3:
        return found
    # Some lexers find the names that they know afterwards, that of C for example.
    return [(kind, value) for _, kind, value in lexer.get_tokens_unprocessed(text, before)]


def _matched(lexer: RegexLexer, text: str, states: list[str]) -> Iterator[Token]:
    """Yield tokens as `RegexLexer.get_tokens_unprocessed` does, which does not tell the states at the end."""
    rules_of: dict[str, Any] = lexer._tokens
    place = 0
    while place < len(text):
        for match_rule, action, new_state in rules_of[states[-1]]:
            if match := match_rule(text, place):
                if isinstance(action, type(Text)):
                    yield action, match.group()
                elif action is not None:
                    yield from ((kind, value) for _, kind, value in action(lexer, match))
                place = match.end()
                if new_state is not None:
                    _move(states, new_state)
                break
        else:
            if text[place] == "\n":
                states[:] = ["root"]
            yield (Whitespace if text[place] == "\n" else Error), text[place]
            place += 1


def _move(states: list[str], to: tuple[str, ...] | int | str) -> None:
    """Change the states as a rule says: push states, `#push` the last one again, pop some or `#pop` one."""
    for state in (to,) if isinstance(to, int | str) else to:
        if isinstance(state, int):
            del states[max(1, len(states) + state) :]
        elif state == "#pop":
            del states[max(1, len(states) - 1) :]
        else:
            states.append(states[-1] if state == "#push" else state)
