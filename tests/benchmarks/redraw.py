"""CPU time of a redraw of an answer that grows, against its length."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from rich.console import Console

from app import themes
from app.widgets.chat.transcript.incremental_markdown import IncrementalMarkdown
from app.widgets.chat.transcript.line_renderer import LineRenderer
from app.widgets.chat.transcript.markdown import Colours
from tests.benchmarks.environment import BenchmarkEnvironment
from tests.benchmarks.table import Budget, Result

METHOD = """\
Lines of {width} cells are drawn for an answer after its first {short} and its first {long} lines, then again
after every {step} characters of its next {more} lines: the CPU time of this thread, in ms. Growth is
the median after {long} lines divided by that after {short}. "All at once" is the time of the complete text;
before blocks, lines of code and rows of tables were kept, a redraw took as long or longer."""
WIDTH, STEP, MORE = 70, 15, 20
FRAME = 16.0
"""Budget of the event loop's lag in milliseconds."""
FLAT = 3.0
"""Maximum growth; the time of a paragraph depends on how many of its lines are not complete pieces."""
TEXTS: dict[str, Callable[[int], str]] = {
    "code": lambda lines: (
        "```python\n" + "".join(f"def f_{line}(x): return x * {line}  # comment\n" for line in range(lines))
    ),
    "table": lambda lines: (
        "| a | b | c |\n|---|---|---|\n"
        + "".join(f"| {line} | **b** | some words |\n" for line in range(lines))
    ),
    "list": lambda lines: "".join(f"{line + 1}. item with **bold** text\n" for line in range(lines)),
    "code in a list": lambda lines: (
        "1. Do:\n   ```python\n" + "".join(f"   def f_{line}(x): return x\n" for line in range(lines))
    ),
    "paragraph": lambda lines: "".join(f"line {line} of a **paragraph**\n" for line in range(lines)),
}


def run(bench: BenchmarkEnvironment) -> Result:
    """Measure each kind of text at two lengths."""
    short, long = bench.sizes.redrawn_lines
    method = METHOD.format(width=WIDTH, short=short, long=long, step=STEP, more=MORE)
    columns = ("", f"after {short} lines", f"after {long}", "growth", "longest", "all at once")
    result = Result("redraw", method, columns)
    for name, text in TEXTS.items():
        few, many = _redraws(text, short), _redraws(text, long)
        growth = statistics.median(many) / statistics.median(few)
        whole = _milliseconds(IncrementalMarkdown(_renderer()), text(long))
        figures = [statistics.median(few), statistics.median(many), growth, max(many), whole]
        result.rows.append((name, *(f"{figure:.2f}" for figure in figures)))
        result.figures[name] = dict(zip(columns[1:], figures, strict=True))
        result.budgets.append(Budget(f"growth of a redraw, {name}", growth, FLAT, "×"))
        median = statistics.median(many)
        result.budgets.append(Budget(f"median redraw after {long} lines, {name}", median, FRAME, " ms"))
    return result


def _renderer() -> LineRenderer:
    theme = themes.THEMES[0]
    variables = theme.to_color_system().generate() | themes.variable_defaults(theme.dark)
    return LineRenderer(Console(width=200), Colours(variables), WIDTH)


def _redraws(text: Callable[[int], str], lines: int) -> list[float]:
    """Return the milliseconds of each redraw after some lines."""
    markdown = IncrementalMarkdown(_renderer())
    before, all_of_it = text(lines), text(lines + MORE)
    markdown.render(before)
    return [
        _milliseconds(markdown, all_of_it[:end]) for end in range(len(before) + STEP, len(all_of_it), STEP)
    ]


def _milliseconds(markdown: IncrementalMarkdown, text: str) -> float:
    before = time.thread_time()
    markdown.render(text)
    return (time.thread_time() - before) * 1e3
