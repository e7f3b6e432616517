"""How the last answer of each side went: its phases on one axis, and how even its tokens came."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log
from typing import ClassVar

from textual.content import Content

from app.state.series import Phase, SideSnapshot, Snapshot, Span
from app.units import seconds_text
from app.widgets.drawing import LEVELS, MUTED, Part, fit_pieces, lines, stacked_bar
from app.widgets.panel import Panel, has_engine, sides
from engines.measure.timing import percentile

NO_ANSWER = "No answer yet"
GLYPHS = {Phase.QUEUED: "·", Phase.PREFILL: "▒", Phase.DECODE: "█", Phase.STOPPING: "░"}
WORDS, SHORT_WORDS = 30, 24
"""Cells of the figures beside a drawing. Below NARROW a timeline's stand below it."""
NARROW = 60
WINDOW = (0.5, 99.5)
"""Percentiles between which gaps are drawn: one pause of a second would press all others into one cell."""


class AnswerPanel(Panel):
    """Timeline and inter-token latency of the answer under way, or else of the last one."""

    TITLE: ClassVar[str] = "Answer"
    LEGEND: ClassVar[str] = "· queue  ▒ prefill  █ decode"
    SUMMARY: ClassVar[str] = "Where the time of an answer went, and how evenly its tokens came."
    HELP = """\
### Answer

The upper lines are **timelines** of both answers on one axis: *queue* (behind the other side), *prefill*
(until the first token, so the TTFT), *decode*. The lower lines are **inter-token latencies**: how often
which gap between two tokens was measured, on one logarithmic axis for both sides, with the median and the
95th percentile. A narrow hump is an even stream; a long tail to the right is felt as stutter.
"""

    def draw(self, snapshot: Snapshot, width: int, height: int) -> Content:
        """Two timelines, then two histograms; timelines alone where there is no room."""
        both = sides(snapshot)
        if not any(side.spans for *_, side in both):
            return self.empty()
        axis, ends = _axis(snapshot), _gap_axis(snapshot)
        rows = [row for one in both for row in _timeline(*one, axis, width)]
        if ends:
            rows += [_histogram(*one, ends, width) for one in both]
        return lines(rows, height)

    def draw_folded(self, snapshot: Snapshot, width: int, height: int) -> Content:
        """The phases in words, or how long it took in all."""
        answered = [one for one in sides(snapshot) if one[2].spans]
        if not answered:
            return self.empty()
        for words in (_phases, _in_all):
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


def _axis(snapshot: Snapshot) -> tuple[float, float]:
    """Begin of the earlier answer, and the seconds to the end of the later."""
    spans = [span for side in (snapshot.left, snapshot.right) for span in side.spans]
    begin = min(span.began for span in spans)
    return begin, max(span.began + span.seconds for span in spans) - begin


def _timeline(
    letter: str, style: str, side: SideSnapshot, axis: tuple[float, float], width: int
) -> list[Content]:
    begin, total = axis
    parts = [Part(max(0.0, side.spans[0].began - begin), " ", MUTED)] if side.spans else []
    parts += [
        Part(span.seconds, GLYPHS[span.phase], MUTED if span.phase is Phase.QUEUED else style)
        for span in side.spans
    ]
    drawing = stacked_bar(parts, total, _cells(width))
    figures = [
        Content.assemble((GLYPHS[span.phase], part.style), (seconds_text(span.seconds), MUTED))
        for span, part in zip(side.spans, parts[1:], strict=True)
    ]
    words = Content("  ").join(figures) if figures else Content.styled(NO_ANSWER, MUTED)
    return _row(letter, style, drawing, words, width)


def _row(letter: str, style: str, drawing: Content, figures: Content, width: int) -> list[Content]:
    """A drawing with its figures beside it, or below it where that is too narrow."""
    head = Content.assemble((f"{letter} ", f"bold {style}"), drawing)
    if width < NARROW:
        return [head, Content.assemble("  ", figures)]
    return [Content.assemble(head, "  ", figures)]


def _cells(width: int) -> int:
    return max(4, width - (2 if width < NARROW else WORDS + 4))


def _phases(spans: Sequence[Span]) -> str:
    names = {Phase.QUEUED: "queue"}
    return "  ".join(
        f"{names.get(span.phase, span.phase.value)} {seconds_text(span.seconds)}" for span in spans
    )


def _in_all(spans: Sequence[Span]) -> str:
    return seconds_text(sum(span.seconds for span in spans))


def _gap_axis(snapshot: Snapshot) -> tuple[float, float] | None:
    """The shortest and the longest gap that is drawn, in seconds."""
    ends = [
        percentile(sorted(side.gaps), percent)
        for side in (snapshot.left, snapshot.right)
        if side.gaps
        for percent in WINDOW
    ]
    return (max(1e-6, min(ends)), max(ends)) if ends else None


def _histogram(letter: str, style: str, side: SideSnapshot, ends: tuple[float, float], width: int) -> Content:
    ordered = sorted(side.gaps)
    cells = max(4, width - SHORT_WORDS - 4) if width < NARROW else _cells(width)
    words = "too short"
    if ordered:
        median, late = (seconds_text(percentile(ordered, percent)) for percent in (50, 95))
        words = f"p50 {median}  p95 {late}"
    drawing = Content.styled(_bins(ordered, ends, cells), style)
    return Content.assemble((f"{letter} ", f"bold {style}"), drawing, "  ", (words, MUTED))


def _bins(gaps: Sequence[float], ends: tuple[float, float], cells: int) -> str:
    """A histogram in one line, on a logarithmic axis between `ends`; blank where nothing was measured."""
    low, high = ends
    scale = cells / log(high / low) if high > low else 0.0
    counts = [0] * cells
    for gap in gaps:
        place = int(log(max(gap, low) / low) * scale)
        counts[min(cells - 1, place)] += 1
    most = max(counts, default=0)
    return "".join(LEVELS[ceil(count / most * len(LEVELS)) - 1] if count else " " for count in counts)
