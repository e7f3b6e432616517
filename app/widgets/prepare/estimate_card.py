"""What an engine will take, and once it is loaded, what it does take."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from app.state.prepare.forecast import Forecast
from app.units import bytes_text, rate_text, seconds_text
from app.widgets.panels.cost import speed_text
from app.widgets.panels.drawing import MUTED
from app.widgets.panels.memory_parts import difference
from engines.plan.estimate.estimate import MemoryPart
from engines.plan.precision import Support

WORDS = {
    "fits": ("✓", "$text-success"),
    "tight": ("◐", "$text-warning"),
    "does not fit": ("✗", "$text-error"),
}
NOT_MEASURED = "bandwidth not measured yet: F5 does"
NO_BUILD = "no build here yet"
NAME_WIDTH, FIGURE_WIDTH = 14, 11

Line = Content


class EstimateCard(Static):
    """The outlook in lines: the verdict first, then the parts, then why."""

    def __init__(self) -> None:
        super().__init__(classes="estimate", markup=False)
        self._lines: tuple[list[Line], list[Line]] = [], []

    def show(self, outlook: Forecast | None, support: Support, description: str, source: str) -> None:
        """Show the outlook, and what the table says of the precision."""
        reason = f"{support.reason} {support.remedy}".strip()
        style = MUTED if support.state == "native" else "$text-warning"
        why = [Content.styled(reason, style), Content.styled(description, MUTED)]
        if source:
            why.append(Content.styled(f"Source: {source}", MUTED))
        if support.state == "unavailable" or outlook is None:
            self._lines = why, why
        else:
            self._lines = [*brief(outlook), *why], [*full(outlook), *why]
        self._draw()

    def on_resize(self) -> None:
        """Few lines: a brief account."""
        self._draw()

    def _draw(self) -> None:
        lines = self._lines[0 if self.screen.has_class("-short") else 1]
        self.update(Content("\n").join(lines))


def brief(outlook: Forecast) -> list[Line]:
    """Four lines of 36 cells, for small terminals."""
    weights, kv, other, whole = outlook.parts
    ceiling = outlook.estimate.ceiling
    speed = f"≤ {rate_text(ceiling)}" if ceiling else "tok/s: see F5"
    lines = _verdict(outlook)
    if whole.actual is not None:
        lines.append(Content(f"loaded {bytes_text(whole.actual)}, estimate {bytes_text(whole.estimated)}"))
    return [
        *lines,
        Content(f"weights {bytes_text(weights.estimated)} · KV {bytes_text(kv.estimated)}"),
        Content(f"other {bytes_text(other.estimated)} · {speed}"),
        Content(_build(outlook, named=True)),
    ]


def full(outlook: Forecast) -> list[Line]:
    """A table of the parts, the estimate beside what the loaded engine takes."""
    loaded = any(part.actual is not None for part in outlook.parts)
    lines = _verdict(outlook)
    if loaded:
        lines.append(Content.styled(f"{'':{NAME_WIDTH}}{'estimate':>{FIGURE_WIDTH}}{'loaded':>12}", MUTED))
    for part in outlook.parts:
        actual = f"{bytes_text(part.actual):>12}" if loaded else ""
        figure = f"{bytes_text(part.estimated):>{FIGURE_WIDTH}}"
        lines.append(
            Content.assemble((f"{part.name:{NAME_WIDTH}}", MUTED), figure, actual, _extra(part, outlook))
        )
    if outlook.estimate.loading:
        figure = f"{bytes_text(outlook.estimate.loading):>{FIGURE_WIDTH}}"
        lines.append(Content.assemble((f"{'while loading':{NAME_WIDTH}}", MUTED), figure, (" more", MUTED)))
    lines.append(Content.assemble((f"{'decode':{NAME_WIDTH}}", MUTED), _speed(outlook)))
    lines.append(Content.assemble((f"{'build':{NAME_WIDTH}}", MUTED), _build(outlook)))
    return lines


def _verdict(outlook: Forecast) -> list[Line]:
    glyph, style = WORDS[outlook.verdict.state]
    found = outlook.estimate
    free = f" of {bytes_text(found.available)} free" if found.available is not None else ""
    each = f" on each of {found.gpus} GPUs" if found.gpus > 1 else ""
    lines = [
        Content.assemble(
            (f"{glyph} {outlook.verdict.state}", style), f": {bytes_text(found.peak)}{free}{each}"
        )
    ]
    if outlook.verdict.reason:
        lines.append(Content.styled(f"{outlook.verdict.reason} {outlook.verdict.remedy}", style))
    return lines


def _extra(part: MemoryPart, outlook: Forecast) -> tuple[str, str]:
    if part.name == "total" and part.actual is not None:
        return f"  {difference(part.estimated, part.actual)}", MUTED
    return (f"  as {outlook.estimate.kv_precision}", MUTED) if part.name == "KV cache" else ("", "")


def _speed(outlook: Forecast) -> str:
    found = outlook.estimate
    if found.ceiling is None:
        return NOT_MEASURED
    source = "" if found.bandwidth_measured else " by the driver: F5 measures"
    return f"at most {rate_text(found.ceiling)} at {speed_text(found.bandwidth or 0)}{source}"


def _build(outlook: Forecast, *, named: bool = False) -> str:
    if not outlook.builds:
        return "nothing to build"
    host = outlook.estimate.build_host
    memory = f"build {bytes_text(host)}" if named else f"{bytes_text(host)} of host RAM"
    time = NO_BUILD if outlook.build is None else f"about {seconds_text(outlook.build.seconds)}"
    return f"{memory}, {time}"
