"""The phases of an answer, drawn to scale and in figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.content import Content

from app.state.side.phase import Phase, Span
from app.state.side.snapshot import SideSnapshot, Snapshot
from app.units import seconds_text
from app.widgets.panels.drawing import MUTED, BarPart, stacked_bar

GLYPHS = {
    Phase.LOADING: "◌",
    Phase.QUEUED: "·",
    Phase.PREFILL: "▒",
    Phase.DECODE: "█",
    Phase.STALLED: "×",
    Phase.STOPPING: "░",
}
NAMES = {Phase.QUEUED: "queue", Phase.LOADING: "load", Phase.STALLED: "stall", Phase.STOPPING: "stop"}
QUIET = (Phase.LOADING, Phase.QUEUED)
"""What does not belong to the engine's own work on the answer."""
LEAST_FIGURES = 18
"""Cells of `▒21.3 ms  █850 ms`."""

Axis = tuple[float, float]
"""Begin of the earlier answer, and the seconds to the end of the later."""


def axis(snapshot: Snapshot) -> Axis:
    """One axis for both answers. A load is told in figures only: it may be long past."""
    spans = [span for side in (snapshot.left, snapshot.right) for span in answering(side.spans)]
    begin = min(span.began for span in spans)
    return begin, max(span.began + span.seconds for span in spans) - begin


def answering(spans: Sequence[Span]) -> list[Span]:
    """The phases after the load."""
    return [span for span in spans if span.phase is not Phase.LOADING]


def bar(side: SideSnapshot, style: str, scale: Axis, width: int) -> Content:
    """The phases to scale, in `width` cells."""
    begin, total = scale
    spans = answering(side.spans)
    parts = [BarPart(max(0.0, spans[0].began - begin), " ", MUTED)] if spans else []
    parts += [BarPart(span.seconds, GLYPHS[span.phase], _style(span.phase, style)) for span in spans]
    return stacked_bar(parts, total, width)


def legend(snapshot: Snapshot, without: tuple[Phase, ...] = ()) -> str:
    """What the glyphs mean that are drawn now; empty without an answer."""
    drawn = {span.phase for side in (snapshot.left, snapshot.right) for span in side.spans}
    return " ".join(
        f"{glyph} {NAMES.get(phase, phase.value)}"
        for phase, glyph in GLYPHS.items()
        if phase in drawn.difference(without)
    )


def load(side: SideSnapshot) -> str:
    """`◌23.4 s`; empty for an answer that was not the first."""
    first = side.spans[:1]
    return f"{GLYPHS[Phase.LOADING]}{seconds_text(first[0].seconds)}" if _is_load(first) else ""


def figures(spans: Sequence[Span], style: str, room: int) -> Content:
    """How long each phase took, in `room` cells: what is not the engine's own work is left out first."""
    for left_out in ((), QUIET[1:], QUIET, (*QUIET, Phase.PREFILL)):
        seconds = _seconds(span for span in spans if span.phase not in left_out)
        line = Content("  ").join(
            Content.assemble((GLYPHS[phase], _style(phase, style)), (seconds_text(took), MUTED))
            for phase, took in seconds.items()
        )
        if line.cell_length <= room:
            break
    return line


def in_words(spans: Sequence[Span]) -> str:
    """`prefill 21.3 ms  decode 850 ms`."""
    return "  ".join(
        f"{NAMES.get(phase, phase.value)} {seconds_text(took)}" for phase, took in _seconds(spans).items()
    )


def in_all(spans: Sequence[Span]) -> str:
    """From the prompt to the end."""
    return seconds_text(sum(span.seconds for span in answering(spans)))


def _is_load(spans: Sequence[Span]) -> bool:
    return bool(spans) and spans[0].phase is Phase.LOADING


def _seconds(spans: Iterable[Span]) -> dict[Phase, float]:
    """Seconds by phase, in the order in which they came first: decode may be in pieces."""
    found: dict[Phase, float] = {}
    for span in spans:
        found[span.phase] = found.get(span.phase, 0.0) + span.seconds
    return found


def _style(phase: Phase, style: str) -> str:
    if phase is Phase.STALLED:
        return "$text-warning"
    return MUTED if phase in QUIET else style
