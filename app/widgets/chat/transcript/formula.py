"""Formulas in Markdown, which are shown as they were written: Markdown would remove their backslashes."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markdown_it.ruler import RuleOptionsType
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

LONGEST = 1_000
"""Characters of a formula between single dollars; more is text with prices."""
_ENVIRONMENT = re.compile(r"\\begin\{(\w+\*?)\}")
_BLOCK = re.compile(r"\\\[|\$\$|\\begin\{(\w+\*?)\}")
_AFTER = frozenset(" \t.,;:")
"""What may follow a displayed formula on its last line."""


def keep_formulas(parser: MarkdownIt) -> MarkdownIt:
    r"""Teach a parser `\(…\)`, `\[…\]`, `$…$`, `$$…$$` and environments; return it.

    What is not closed is a formula up to the end of its paragraph, as an answer is while it streams; dollars
    inside of a line must be closed.
    """
    parser.inline.ruler.before("escape", "formula", _inline)
    options = RuleOptionsType(alt=["paragraph", "reference", "blockquote", "list", "table"])
    parser.block.ruler.before("fence", "formula", _block, options)
    return parser


def _inline(state: StateInline, silent: bool) -> bool:
    end = formula_end(state.src[: state.posMax], state.pos) if state.src[state.pos] in "\\$" else 0
    if not end:
        return False
    if not silent:
        state.push("text", "", 0).content = state.src[state.pos : end]
    state.pos = end
    return True


def formula_end(text: str, start: int) -> int:
    """Return where the formula that begins at `start` ends; 0 if none begins there."""
    if text.startswith(("\\(", "\\["), start):
        return _bracket_end(text, start + 2, ")" if text[start + 1] == "(" else "]")
    if environment := _ENVIRONMENT.match(text, start):
        closing = f"\\end{{{environment[1]}}}"
        end = text.find(closing, start)
        return len(text) if end < 0 else end + len(closing)
    if text.startswith("$$", start):
        return text.find("$$", start + 2) + 2 if "$$" in text[start + 2 :] else 0
    return _dollar_end(text, start) if text.startswith("$", start) else 0


def _bracket_end(text: str, start: int, closing: str) -> int:
    while (start := text.find("\\", start)) >= 0:
        if text[start + 1 : start + 2] == closing:
            return start + 2
        start += 2  # `\\` is a line break: the bracket after it closes nothing
    return len(text)


def _dollar_end(text: str, start: int) -> int:
    """Return the end as Pandoc finds it: no space inside of the dollars, no digit behind the second one."""
    if not text[start + 1 : start + 2].strip():
        return 0
    place, limit = start + 1, min(len(text), start + LONGEST)
    while place < limit:
        if text[place] == "\\":
            place += 1
        elif text[place] == "$":
            closes = not text[place - 1].isspace() and not text[place + 1 : place + 2].isdigit()
            return place + 1 if closes else 0
        place += 1
    return 0


def _block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Read a displayed formula: a line that begins one, and those up to its end or an empty line."""
    if state.is_code_block(start):
        return False
    line = _line(state, start)
    opening = _BLOCK.match(line)
    if not opening:
        return False
    closing = f"\\end{{{opening[1]}}}" if opening[1] else {"\\[": "\\]", "$$": "$$"}[opening[0]]
    after = line[opening.end() :].partition(closing)
    if after[1] and not set(after[2]) <= _AFTER:
        return False  # in a sentence
    below = start + 1 if after[1] else _below(state, start + 1, end, closing, bool(opening[1]))
    if not silent:
        token = state.push("formula", "", 0)
        token.content = state.getLines(start, below, state.blkIndent, False)
        token.map = [start, below]
        state.line = below
    return True


def _below(state: StateBlock, line: int, end: int, closing: str, with_empty: bool) -> int:
    """Return the line below a formula; only environments may contain empty lines."""
    while line < end:
        if state.isEmpty(line):
            if not with_empty:
                return line
        elif state.sCount[line] < state.blkIndent:
            return line
        elif closing in _line(state, line):
            return line + 1
        line += 1
    return line


def _line(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]
