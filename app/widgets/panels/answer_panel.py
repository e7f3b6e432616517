"""The last answer of each side: timeline of phases, inter-token latencies, MBU and energy."""

from __future__ import annotations

from typing import ClassVar

from textual.content import Content

from app.state.side.snapshot import SideSnapshot, Snapshot
from app.widgets.panels import latencies, timeline
from app.widgets.panels.cost import cost_line, mbu_terms
from app.widgets.panels.drawing import MUTED, fit_pieces, lines
from app.widgets.panels.panel import Panel, has_engine, sides

NO_ANSWER = "No answer yet"
FIGURE_CELLS, NARROW_FIGURE_CELLS = 30, 24
"""Width of the figures to the right of a drawing, in wide and in narrow panels."""
NARROW = 60
"""Below this width the figures of a timeline go below it; if the height does not allow that, only the most
important ones are shown, to its right."""
MIN_DRAWING_CELLS = 8
LEGEND_MARGIN = 4
MAX_HISTOGRAM_LINES = 10
"""More lines would add no information."""

Row = tuple[str, str, SideSnapshot]


class AnswerPanel(Panel):
    """Timeline, inter-token latencies and cost of the current answer, or else of the last one."""

    TITLE: ClassVar[str] = "Answer"
    LEGEND: ClassVar[str] = "· queue ▒ prefill █ decode"
    SUMMARY: ClassVar[str] = "Phases, inter-token latencies, MBU and energy of each side's last answer."
    HELP = """\
### Answer

The upper lines are **timelines** of both answers on one axis: *queue* (waiting for the other side), *prefill*
(until the first token, so the TTFT), *decode*, and within it each *stall*: more than 2 seconds without a
token. For the first answer of an engine the *load* time is shown too, as a figure only.

Then **inter-token latencies**: a histogram of the gaps between tokens on a logarithmic axis shared by both
sides, with the median and the 95th percentile. A narrow peak is an even stream; a long tail to the right
shows as stutter.

**MBU**, model bandwidth utilisation = bytes read per token · tok/s / memory bandwidth. The bytes are the
weights without the input embedding, plus the KV cache at half of the answer. The bandwidth is the one that
**F5** in Prepare measured on this device. At 100% decode is bound by memory: *at most* is that speed. A small
model that stays in the processor's cache can exceed it.

**J/token** = change of the GPU's energy counter from prompt to last token / tokens. Prefill and idle power
are included. Only *in turn*: two engines running together share one counter. CPUs are not measured.
"""

    def legend(self, snapshot: Snapshot) -> str:
        """Return the legend of the phases shown; without the load, which is not drawn, if too long."""
        text = timeline.legend(snapshot)
        if len(text) > self.size.width - LEGEND_MARGIN:
            text = timeline.legend(snapshot, without=timeline.WAITING[:1])
        return text or self.LEGEND

    def draw(self, snapshot: Snapshot, width: int, height: int) -> Content:
        """Draw timelines, histograms and costs of both sides; the last rows are dropped if too high."""
        both = sides(snapshot)
        if not any(timeline.answering(side.spans) for *_, side in both):
            return self.empty()
        ends = latencies.gap_axis(snapshot)
        below = width < NARROW and height >= (8 if ends else 4)
        scale = timeline.axis(snapshot)
        rows = [line for row in both for line in _timeline(row, scale, width, below)]
        short = width < NARROW and not below
        loads = [timeline.load(side) if short else "" for *_, side in both]
        costs = [
            _headed(row, cost_line(row[2], width - 2, load)) for row, load in zip(both, loads, strict=True)
        ]
        room = height - len(rows) - len(costs)
        if ends:
            rows += _latencies(both, ends, width, room)
        rows += costs
        if len(rows) + 2 <= height:
            rows += [_headed(row, mbu_terms(row[2])) for row in both if mbu_terms(row[2]).plain]
        return lines(rows, height)

    def draw_folded(self, snapshot: Snapshot, width: int, height: int) -> Content:
        """Draw the seconds of each phase, or if that is too long, of the answer as a whole."""
        answered = [row for row in sides(snapshot) if timeline.answering(row[2].spans)]
        if not answered:
            return self.empty()
        for text in (timeline.phases_text, timeline.total_text):
            pieces = [
                Content.assemble((f"{letter} ", f"bold {style}"), text(side.spans))
                for letter, style, side in answered
            ]
            line = Content("  ").join([Content.styled("answer", "bold"), *pieces])
            if line.cell_length <= width:
                return line
        return fit_pieces(pieces, width)

    def empty(self) -> Content:
        """Return the text for a panel without an answer, or without an engine."""
        known = self.snapshot and (has_engine(self.snapshot.left) or has_engine(self.snapshot.right))
        if not known:
            return super().empty()
        title = (f"{self.TITLE.lower()}  ", "bold") if self.is_folded else ""
        return Content.assemble(title, (NO_ANSWER, MUTED))


def _headed(row: Row, *content: Content) -> Content:
    letter, style, _ = row
    return Content.assemble((f"{letter} ", f"bold {style}"), *content)


def _timeline(row: Row, scale: timeline.Axis, width: int, below: bool) -> list[Content]:
    """Return the bar of one side with its figures, to its right or `below` it."""
    _, style, side = row
    room = width - 2 if below else FIGURE_CELLS if width >= NARROW else timeline.MIN_FIGURE_CELLS
    figures = timeline.figures(side.spans, style, room) if side.spans else Content.styled(NO_ANSWER, MUTED)
    cells = width - 2 if below else max(MIN_DRAWING_CELLS, width - 4 - room)
    drawing = timeline.bar(side, style, scale, cells)
    if below:
        return [_headed(row, drawing), Content.assemble("  ", figures)]
    return [_headed(row, drawing, Content("  "), figures)]


def _latencies(both: tuple[Row, ...], ends: latencies.Ends, width: int, room: int) -> list[Content]:
    """Return two histograms that fill `room` lines; with an axis if they are higher than one line each."""
    each = max(1, min(MAX_HISTOGRAM_LINES, (room - 1) // 2))
    figure_cells = FIGURE_CELLS if width >= NARROW else NARROW_FIGURE_CELLS
    cells = max(MIN_DRAWING_CELLS, width - 4 - figure_cells)
    rows = []
    for row in both:
        _, style, side = row
        *above, last = latencies.histogram(side.gaps, ends, cells, each)
        figures = (latencies.percentiles_text(side.gaps), MUTED)
        rows += [Content.assemble("  ", (line, style)) for line in above]
        rows.append(_headed(row, Content.assemble((last, style), "  ", figures)))
    if each > 1:
        rows.append(Content.assemble("  ", latencies.scale(ends, cells)))
    return rows
