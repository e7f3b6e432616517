"""The last answer of each side: times of its phases, inter-token latencies, MBU and energy."""

from __future__ import annotations

from typing import ClassVar

from textual.content import Content

from app.state.side.snapshot import Snapshot
from app.widgets.panels import latencies, timeline
from app.widgets.panels.answer_table import Row, answer_table
from app.widgets.panels.cost import cost_line, mbu_terms
from app.widgets.panels.drawing import MUTED, fit_pieces, lines
from app.widgets.panels.panel import Panel, has_engine, sides

NO_ANSWER = "No answer yet"
TABLE_LINES, TIMELINE_LINES, COST_LINES = 3, 2, 2
MIN_HISTOGRAM_LINES = 3
"""Two histograms of a line each, and their axis."""
MIN_DRAWING_CELLS = 8
MAX_HISTOGRAM_LINES = 10
"""More lines would add no information."""


class AnswerPanel(Panel):
    """Table of times, timelines, histograms and cost of the current answer, or else of the last one."""

    TITLE: ClassVar[str] = "Answer"
    SUMMARY: ClassVar[str] = (
        "Times of the phases, inter-token latencies, MBU and energy of each side's last answer."
    )
    HELP = """\
### Answer

A **table** of both answers. *wait*: queued behind the other side. *prefill*: until the first token, so the
TTFT. *decode*: from there to the last token, without *stalls*: the time in which no token came for more than
2 seconds and 5 times the usual gap. *p50* and *p95*: **inter-token latencies**, the median and the 95th
percentile of the gaps between tokens. The bars behind the phases share one scale, those behind p50 and p95
another. For the first answer of an engine, *load* is the time that loading it took.

On more lines there are **timelines**, the same phases on one axis, and **histograms** of the gaps on a
logarithmic axis shared by both sides: a narrow peak is an even stream; a long tail to the right shows as
stutter.

**MBU**, model bandwidth utilisation = bytes read per token · tok/s / memory bandwidth. The bytes are the
weights without the input embedding, plus the KV cache at half of the answer. The bandwidth is the one that
**F5** on Models (F2) measured on this device. At 100 % decode is bound by memory: *at most* is that speed.
A small model that stays in the processor's cache can exceed it.

**J/token** = change of the GPU's energy counter from prompt to last token / tokens. Prefill and idle power
are included. Only *in turn*, or on two GPUs: engines on one share its counter. CPUs are not measured.
"""

    def legend(self, snapshot: Snapshot) -> str:
        """Return the legend of the timelines, while they are drawn."""
        drawn = self.content_size.height >= TABLE_LINES + TIMELINE_LINES + COST_LINES
        return timeline.legend(snapshot) if drawn else ""

    def draw(self, snapshot: Snapshot, width: int, height: int) -> Content:
        """Draw the table, timelines, histograms and costs of both sides, as far as they fit."""
        both = sides(snapshot)
        if not any(timeline.answering(side.spans) for *_, side in both):
            return self.empty()
        rows = answer_table(both, width)
        spare = height - TABLE_LINES - COST_LINES
        if spare >= TIMELINE_LINES:
            scale = timeline.axis(snapshot)
            rows += [_timeline(row, scale, width) for row in both]
            spare -= TIMELINE_LINES
        if (ends := latencies.gap_axis(snapshot)) and spare >= MIN_HISTOGRAM_LINES:
            rows += _histograms(both, ends, width, spare)
        rows += [_headed(row, cost_line(row[2], width - 2, timeline.load(row[2]))) for row in both]
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


def _timeline(row: Row, scale: timeline.Axis, width: int) -> Content:
    """Return the bar of one side."""
    _, style, side = row
    if not side.spans:
        return _headed(row, Content.styled(NO_ANSWER, MUTED))
    return _headed(row, timeline.bar(side, style, scale, max(MIN_DRAWING_CELLS, width - 2)))


def _histograms(both: tuple[Row, ...], ends: latencies.Ends, width: int, room: int) -> list[Content]:
    """Return two histograms that fill `room` lines, and their axis."""
    each = max(1, min(MAX_HISTOGRAM_LINES, (room - 1) // 2))
    cells = max(MIN_DRAWING_CELLS, width - 2)
    rows = []
    for row in both:
        _, style, side = row
        *above, last = latencies.histogram(side.gaps, ends, cells, each)
        rows += [Content.assemble("  ", (line, style)) for line in above]
        rows.append(_headed(row, Content.styled(last, style)))
    rows.append(Content.assemble("  ", latencies.scale(ends, cells)))
    return rows
