"""How the last answer of each side went: its phases, how even its tokens came, and what it took."""

from __future__ import annotations

from typing import ClassVar

from textual.content import Content

from app.state.side.snapshot import SideSnapshot, Snapshot
from app.widgets.panels import latencies, timeline
from app.widgets.panels.cost import cost_line, working
from app.widgets.panels.drawing import MUTED, fit_pieces, lines
from app.widgets.panels.panel import Panel, has_engine, sides

NO_ANSWER = "No answer yet"
WORDS, SHORT_WORDS = 30, 24
"""Cells of the figures beside a drawing, of a timeline and of a histogram. Below NARROW a timeline's stand
below it, or where there is no room for that, the shortest of them beside it."""
NARROW = 60
LEAST_DRAWING = 8
LEGEND_MARGIN = 4
TALLEST = 10
"""Lines of a histogram: more show no more."""

Row = tuple[str, str, SideSnapshot]


class AnswerPanel(Panel):
    """Timeline, inter-token latency and cost of the answer under way, or else of the last one."""

    TITLE: ClassVar[str] = "Answer"
    LEGEND: ClassVar[str] = "· queue ▒ prefill █ decode"
    SUMMARY: ClassVar[str] = "Where the time of an answer went, how evenly its tokens came, what it took."
    HELP = """\
### Answer

The upper lines are **timelines** of both answers on one axis: *queue* (behind the other side), *prefill*
(until the first token, so the TTFT), *decode*, and in it each *stall*: more than 2 seconds without a token.
The first answer of an engine tells how long its *load* took, in figures only.

Then **inter-token latencies**: how often which gap between two tokens was measured, on one logarithmic axis
for both sides, with the median and the 95th percentile. A narrow hump is an even stream; a long tail to the
right is felt as stutter.

**MBU**, model bandwidth utilisation = bytes read for a token · tok/s / memory bandwidth. Read are the
weights without the input embedding, and the KV cache as it was in the middle of the answer. The bandwidth is
what **F5** in Prepare measured on this device, not a data sheet's. At 100% decode is as fast as the memory:
*at most* is that speed. A small model that stays in the processor's cache may be faster.

**J/token** = what the GPU's energy counter moved from prompt to last token / tokens: gross, prefill and idle
power included. Only *in turn*: two engines at once share one counter. CPUs are not counted.
"""

    def legend(self, snapshot: Snapshot) -> str:
        """Of the phases that are drawn; where that is too long without the load, a figure only."""
        words = timeline.legend(snapshot)
        if len(words) > self.size.width - LEGEND_MARGIN:
            words = timeline.legend(snapshot, without=timeline.QUIET[:1])
        return words or self.LEGEND

    def draw(self, snapshot: Snapshot, width: int, height: int) -> Content:
        """Two timelines, two histograms, two costs; what has no room is left out from the end."""
        both = sides(snapshot)
        if not any(timeline.answering(side.spans) for *_, side in both):
            return self.empty()
        ends = latencies.gap_axis(snapshot)
        below = width < NARROW and height >= (8 if ends else 4)
        scale = timeline.axis(snapshot)
        rows = [row for one in both for row in _timeline(one, scale, width, below)]
        short = width < NARROW and not below
        loads = [timeline.load(side) if short else "" for *_, side in both]
        costs = [
            _headed(one, cost_line(one[2], width - 2, load)) for one, load in zip(both, loads, strict=True)
        ]
        room = height - len(rows) - len(costs)
        if ends:
            rows += _latencies(both, ends, width, room)
        rows += costs
        if len(rows) + 2 <= height:
            rows += [_headed(one, working(one[2])) for one in both if working(one[2]).plain]
        return lines(rows, height)

    def draw_folded(self, snapshot: Snapshot, width: int, height: int) -> Content:
        """The phases in words, or how long it took in all."""
        answered = [one for one in sides(snapshot) if timeline.answering(one[2].spans)]
        if not answered:
            return self.empty()
        for words in (timeline.in_words, timeline.in_all):
            pieces = [
                Content.assemble((f"{letter} ", f"bold {style}"), words(side.spans))
                for letter, style, side in answered
            ]
            line = Content("  ").join([Content.styled("answer", "bold"), *pieces])
            if line.cell_length <= width:
                return line
        return fit_pieces(pieces, width)

    def empty(self) -> Content:
        """Nothing was asked, or nobody is there to be asked."""
        known = self.snapshot and (has_engine(self.snapshot.left) or has_engine(self.snapshot.right))
        if not known:
            return super().empty()
        title = (f"{self.TITLE.lower()}  ", "bold") if self.is_folded else ""
        return Content.assemble(title, (NO_ANSWER, MUTED))


def _headed(one: Row, *content: Content) -> Content:
    letter, style, _ = one
    return Content.assemble((f"{letter} ", f"bold {style}"), *content)


def _timeline(one: Row, scale: timeline.Axis, width: int, below: bool) -> list[Content]:
    """The drawing, with its figures beside or below it."""
    _, style, side = one
    room = width - 2 if below else WORDS if width >= NARROW else timeline.LEAST_FIGURES
    words = timeline.figures(side.spans, style, room) if side.spans else Content.styled(NO_ANSWER, MUTED)
    cells = width - 2 if below else max(LEAST_DRAWING, width - 4 - room)
    drawing = timeline.bar(side, style, scale, cells)
    if below:
        return [_headed(one, drawing), Content.assemble("  ", words)]
    return [_headed(one, drawing, Content("  "), words)]


def _latencies(both: tuple[Row, ...], ends: latencies.Ends, width: int, room: int) -> list[Content]:
    """Histograms as high as there is room for, over their axis where they are higher than a line."""
    each = max(1, min(TALLEST, (room - 1) // 2))
    cells = max(LEAST_DRAWING, width - 4 - (WORDS if width >= NARROW else SHORT_WORDS))
    rows = []
    for one in both:
        *above, last = latencies.histogram(one[2].gaps, ends, cells, each)
        words = (latencies.in_words(one[2].gaps), MUTED)
        rows += [Content.assemble("  ", (line, one[1])) for line in above]
        rows.append(_headed(one, Content.assemble((last, one[1]), "  ", words)))
    if each > 1:
        rows.append(Content.assemble("  ", latencies.scale(ends, cells)))
    return rows
