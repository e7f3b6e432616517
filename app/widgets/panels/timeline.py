"""The phases of an answer, as a bar to scale and as figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.content import Content

from app.state.side.phase import Phase, Span
from app.state.side.snapshot import SideSnapshot, Snapshot
from app.units import seconds_text
from app.widgets.panels.drawing import MUTED, BarPart, stacked_bar

GLYPHS = {
    Phase.QUEUED: "╌",
    Phase.PREFILL: "▒",
    Phase.DECODE: "█",
    Phase.STALLED: "×",
    Phase.STOPPING: "░",
}
NAMES = {Phase.QUEUED: "wait", Phase.LOADING: "load", Phase.STALLED: "stall", Phase.STOPPING: "stop"}
WAITING = (Phase.LOADING, Phase.QUEUED)
"""Phases in which the engine does not work on the answer."""

Axis = tuple[float, float]
"""Start of the earlier answer, and the seconds from there to the end of the later one."""


def axis(snapshot: Snapshot) -> Axis:
    """Return the axis of both answers, without loading, which may be long past."""
    spans = [span for side in (snapshot.left, snapshot.right) for span in answering(side.spans)]
    start = min(span.began for span in spans)
    return start, max(span.began + span.seconds for span in spans) - start


def answering(spans: Sequence[Span]) -> list[Span]:
    """Return the spans after loading."""
    return [span for span in spans if span.phase is not Phase.LOADING]


def bar(side: SideSnapshot, style: str, scale: Axis, width: int) -> Content:
    """Return a bar of `width` cells with the phases to scale."""
    start, total = scale
    spans = answering(side.spans)
    parts = [BarPart(max(0.0, spans[0].began - start), " ", MUTED)] if spans else []
    parts += [BarPart(span.seconds, GLYPHS[span.phase], _style(span.phase, style)) for span in spans]
    return stacked_bar(parts, total, width)


def legend(snapshot: Snapshot) -> str:
    """Return the legend of the phases that the bars show; empty without an answer."""
    drawn = {span.phase for side in (snapshot.left, snapshot.right) for span in answering(side.spans)}
    return " ".join(
        f"{glyph} {NAMES.get(phase, phase.value)}" for phase, glyph in GLYPHS.items() if phase in drawn
    )


def load(side: SideSnapshot) -> str:
    """Return the load time as `load 23.4 s`; empty for an answer that was not the engine's first."""
    first = side.spans[:1]
    return f"load {seconds_text(first[0].seconds)}" if _is_load(first) else ""


def phases_text(spans: Sequence[Span]) -> str:
    """Return `prefill 21.3 ms  decode 850 ms`."""
    return "  ".join(
        f"{NAMES.get(phase, phase.value)} {seconds_text(took)}"
        for phase, took in seconds_by_phase(spans).items()
    )


def total_text(spans: Sequence[Span]) -> str:
    """Return the time from the prompt to the end."""
    return seconds_text(sum(span.seconds for span in answering(spans)))


def _is_load(spans: Sequence[Span]) -> bool:
    return bool(spans) and spans[0].phase is Phase.LOADING


def seconds_by_phase(spans: Iterable[Span]) -> dict[Phase, float]:
    """Return the total seconds of each phase in order of first appearance; stalls split decode into spans."""
    found: dict[Phase, float] = {}
    for span in spans:
        found[span.phase] = found.get(span.phase, 0.0) + span.seconds
    return found


def _style(phase: Phase, style: str) -> str:
    if phase is Phase.STALLED:
        return "$text-warning"
    return MUTED if phase in WAITING else style
