"""Markdown that grows: what stands at the end is what the whole text gives."""

from __future__ import annotations

import random

import pytest
from rich.console import Console

from app import themes
from app.widgets.chat.transcript.brush import Line, LineRenderer
from app.widgets.chat.transcript.growing import IncrementalMarkdown
from app.widgets.chat.transcript.markdown import Colours
from app.widgets.chat.transcript.thought import ParsedAnswer, split_reasoning

ANSWER = """\
# Caches

A **KV cache** keeps `keys` and values, see [the page](https://example.org/kv).
The line goes on.

* one
* two, with a line that is long enough to be wrapped in a pane of forty columns

  and a paragraph of its own

1. first
2. second

```python
def attend(query, keys):

    return query @ keys.T
```

| tokens | bytes |
|--------|-------|
| 1      | 512   |

> A quote.

Tags such as <think> or <b>bold</b> are shown as they are.
"""


@pytest.fixture
def brush() -> LineRenderer:
    theme = themes.THEMES[0]
    variables = theme.to_color_system().generate() | themes.variable_defaults(theme.dark)
    return LineRenderer(Console(width=200), Colours(variables), 40)


def plain(lines: list[Line]) -> list[str]:
    return ["".join(segment.text for segment in line).rstrip() for line in lines]


def test_every_beginning_can_be_drawn(brush: LineRenderer) -> None:
    """Cut anywhere: no line is lost that was finished, and finished lines stay as they were."""
    growing, before, finished = IncrementalMarkdown(), [""], 0
    for end in range(1, len(ANSWER) + 1):
        lines = plain(growing.draw(ANSWER[:end], brush))
        assert lines[:finished] == before[:finished]
        before, finished = lines, growing.finished
    assert finished > 20


@pytest.mark.parametrize("seed", range(5))
def test_the_end_is_the_whole(brush: LineRenderer, seed: int) -> None:
    """In whatever pieces it came, the lines at the end are those of the whole text."""
    chance, growing, end, lines = random.Random(seed), IncrementalMarkdown(), 0, []
    while end < len(ANSWER):
        end = min(len(ANSWER), end + chance.randint(1, 40))
        lines = growing.draw(ANSWER[:end], brush)
    whole, _ = brush.markdown(ANSWER)
    assert plain(lines) == plain(whole)
    assert growing.codes == ["def attend(query, keys):\n\n    return query @ keys.T"]


def test_no_line_is_wider_than_the_pane(brush: LineRenderer) -> None:
    text = ANSWER + "\n" + "word" * 60 + "\n\n```\n" + "x = " * 60 + "\n```\n" + "漢字" * 60
    lines, _ = brush.markdown(text)
    assert max(sum(segment.cell_length for segment in line) for line in lines) <= 40


def test_tags_are_text(brush: LineRenderer) -> None:
    lines, _ = brush.markdown("<script>alert(1)</script>\n\nA <b>tag</b>.")
    assert "<script>alert(1)</script>" in plain(lines)
    assert "A <b>tag</b>." in plain(lines)


@pytest.mark.parametrize(
    "text", ["```", "```  \nx", "```no-such-language\nx\n```", "    indented", "|a|\n|-|", "- ", "#"]
)
def test_odd_markdown(brush: LineRenderer, text: str) -> None:
    brush.markdown(text)


def test_narrow(brush: LineRenderer) -> None:
    """A pane of one column is of no use, and no reason to fail."""
    narrow = LineRenderer(Console(), brush.colours, 0)
    assert narrow.markdown(ANSWER)[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Plain.", ParsedAnswer("", "Plain.", False)),
        ("<think>\nHm", ParsedAnswer("Hm", "", True)),
        ("<think>\nHm.\n</think>\n\nYes.", ParsedAnswer("Hm.", "Yes.", False)),
        ("Hm.\n</think>\nYes.", ParsedAnswer("Hm.", "Yes.", False)),
        ("<think></think>Yes.", ParsedAnswer("", "Yes.", False)),
    ],
)
def test_thoughts(text: str, said: ParsedAnswer) -> None:
    assert split_reasoning(text) == said
