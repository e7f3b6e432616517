"""Streaming Markdown ends with the same lines as the complete text."""

from __future__ import annotations

import random

import pytest
from rich.console import Console
from rich.segment import Segment

from app import themes
from app.widgets.chat.transcript.incremental_markdown import IncrementalMarkdown
from app.widgets.chat.transcript.line_renderer import Line, LineRenderer
from app.widgets.chat.transcript.markdown import Colours

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
def renderer() -> LineRenderer:
    theme = themes.THEMES[0]
    variables = theme.to_color_system().generate() | themes.variable_defaults(theme.dark)
    return LineRenderer(Console(width=200), Colours(variables), 40)


def plain(lines: list[Line]) -> list[str]:
    return ["".join(segment.text for segment in line).rstrip() for line in lines]


def drawn(text: str, renderer: LineRenderer) -> list[Line]:
    """Return the lines of a complete text."""
    return IncrementalMarkdown(renderer).render(text, complete=True)


def test_every_prefix_can_be_rendered(renderer: LineRenderer) -> None:
    """Wherever the text is cut, finished lines do not change."""
    incremental, before, finished = IncrementalMarkdown(renderer), [""], 0
    for end in range(1, len(ANSWER) + 1):
        lines = plain(incremental.render(ANSWER[:end]))
        assert lines[:finished] == before[:finished]
        before, finished = lines, incremental.finished
    assert finished > 20


@pytest.mark.parametrize("seed", range(5))
def test_the_last_render_equals_the_complete_text(renderer: LineRenderer, seed: int) -> None:
    """The result does not depend on the sizes of the pieces."""
    generator, incremental, end, lines = random.Random(seed), IncrementalMarkdown(renderer), 0, []
    while end < len(ANSWER):
        end = min(len(ANSWER), end + generator.randint(1, 40))
        lines = incremental.render(ANSWER[:end])
    assert plain(lines) == plain(drawn(ANSWER, renderer))
    assert incremental.codes == ["def attend(query, keys):\n\n    return query @ keys.T"]


def test_no_line_is_wider_than_the_pane(renderer: LineRenderer) -> None:
    text = ANSWER + "\n" + "word" * 60 + "\n\n```\n" + "x = " * 60 + "\n```\n" + "漢字" * 60
    lines = drawn(text, renderer)
    assert max(sum(segment.cell_length for segment in line) for line in lines) <= 40


def test_html_tags_are_shown_as_text(renderer: LineRenderer) -> None:
    lines = drawn("<script>alert(1)</script>\n\nA <b>tag</b>.", renderer)
    assert "<script>alert(1)</script>" in plain(lines)
    assert "A <b>tag</b>." in plain(lines)


@pytest.mark.parametrize(
    "text", ["```", "```  \nx", "```no-such-language\nx\n```", "    indented", "|a|\n|-|", "- ", "#"]
)
def test_incomplete_markdown_does_not_fail(renderer: LineRenderer, text: str) -> None:
    lines = drawn(text, renderer)
    assert all(Segment.get_line_length(line) <= renderer.width for line in lines)


def test_a_width_of_zero_does_not_fail(renderer: LineRenderer) -> None:
    narrow = LineRenderer(Console(), renderer.colours, 0)
    assert drawn(ANSWER, narrow)
