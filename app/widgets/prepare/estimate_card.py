"""The estimate of an engine's memory and speed, next to its measured memory once it is loaded."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from app.state.prepare.forecast import Forecast
from app.units import bytes_text, clock_text
from app.widgets.panels.cost import ceiling_text, speed_text
from app.widgets.panels.drawing import MUTED
from app.widgets.panels.memory_parts import difference
from engines.plan.estimate.estimate import MemoryPart
from engines.plan.precision import Support

FITS = {
    "fits": ("✓", "$text-success"),
    "tight": ("◐", "$text-warning"),
    "does not fit": ("✗", "$text-error"),
}
"""Glyph and style by `MemoryFit.state`."""
IN_CACHE = "fits in the processor's cache: not bound by memory"
TOO_SMALL = "too small to be bound by memory"
NOT_MEASURED = "bandwidth unknown · press F5 to measure"
NO_BUILD = "not built on this machine yet"
NAME_WIDTH, FIGURE_WIDTH = 15, 10


class EstimateCard(Static):
    """The forecast as lines: whether it fits, the parts, then what the precision is, or why not."""

    def __init__(self) -> None:
        super().__init__(classes="estimate", markup=False)
        self._lines: tuple[list[Content], list[Content]] = [], []
        """Brief and full form."""

    def show(self, forecast: Forecast | None, support: Support, description: str) -> None:
        """Show a forecast and the support of the precision.

        Args:
            forecast: None if there is nothing to estimate from.
            support: Whether the precision runs on this device, and why.
            description: Of the precision; shown where the support has no reason of its own.
        """
        reason = f"{support.reason} {support.remedy}".strip()
        style = MUTED if support.state == "native" else "$text-warning"
        reasons = [Content.styled(reason, style) if reason else Content.styled(description, MUTED)]
        if support.state == "unavailable" or forecast is None:
            self._lines = reasons, reasons
        else:
            self._lines = [*brief(forecast), *reasons], [*full(forecast), *reasons]
        self._draw()

    def on_resize(self) -> None:
        """Choose the brief form on short terminals, else the full one."""
        self._draw()

    def _draw(self) -> None:
        lines = self._lines[0 if self.screen.has_class("-short") else 1]
        self.update(Content("\n").join(lines))


def brief(forecast: Forecast) -> list[Content]:
    """Return four or five lines of at most 36 cells, for small terminals."""
    weights, kv, other, total = forecast.parts
    ceiling, known = forecast.estimate.ceiling, forecast.estimate.bandwidth is not None
    unknown = "tok/s: no limit" if known or forecast.estimate.fits_cache else "tok/s: press F5"
    speed = f"≤ {ceiling_text(ceiling)}" if ceiling else unknown
    lines = _fit(forecast)
    if total.actual is not None:
        lines.append(Content(f"loaded {bytes_text(total.actual)}, estimate {bytes_text(total.estimated)}"))
    return [
        *lines,
        Content(f"weights {bytes_text(weights.estimated)} · KV {bytes_text(kv.estimated)}"),
        Content(f"other {bytes_text(other.estimated)} · {speed}"),
        Content(_build(forecast, named=True)),
    ]


def full(forecast: Forecast) -> list[Content]:
    """Return a table of the parts: the estimate, and the measured bytes if the engine is loaded."""
    loaded = any(part.actual is not None for part in forecast.parts)
    lines = _fit(forecast)
    if loaded:
        head = f"{'':{NAME_WIDTH}}{'estimate':>{FIGURE_WIDTH}}{'loaded':>{FIGURE_WIDTH}}"
        lines.append(Content.styled(head, MUTED))
    for part in forecast.parts:
        actual = f"{bytes_text(part.actual):>{FIGURE_WIDTH}}" if loaded else ""
        figure = f"{bytes_text(part.estimated):>{FIGURE_WIDTH}}"
        lines.append(Content.assemble((f"{_name(part, forecast):{NAME_WIDTH}}", MUTED), figure, actual))
    if (total := forecast.parts[-1]).actual is not None:
        text = difference(total.estimated, total.actual, " than estimated")
        lines.append(Content.styled(f"{'':{NAME_WIDTH}}{text}", MUTED))
    if forecast.estimate.loading:
        figure = f"{bytes_text(forecast.estimate.loading):>{FIGURE_WIDTH}}"
        lines.append(
            Content.assemble((f"{'while loading':{NAME_WIDTH}}", MUTED), figure, (" in addition", MUTED))
        )
    lines.append(Content.assemble((f"{'decode':{NAME_WIDTH}}", MUTED), _speed(forecast)))
    if forecast.fastest:
        lines.append(Content.assemble((f"{'fastest here':{NAME_WIDTH}}", MUTED), forecast.fastest))
    lines.append(Content.assemble((f"{'build':{NAME_WIDTH}}", MUTED), _build(forecast)))
    return lines


def _fit(forecast: Forecast) -> list[Content]:
    """Return whether the engine fits into free memory, and if it does not, why and what to do."""
    fit, estimate = forecast.fit, forecast.estimate
    glyph, style = FITS[fit.state]
    free = f" of {bytes_text(estimate.available)} free" if estimate.available is not None else ""
    each = f" on each of {estimate.gpus} GPUs" if estimate.gpus > 1 else ""
    lines = [Content.assemble((f"{glyph} {fit.state}", style), f": {bytes_text(estimate.peak)}{free}{each}")]
    if fit.reason:
        lines.append(Content.styled(f"{fit.reason} {fit.remedy}", style))
    return lines


def _name(part: MemoryPart, forecast: Forecast) -> str:
    return f"KV cache, {forecast.estimate.kv_precision}" if part.name == "KV cache" else part.name


def _speed(forecast: Forecast) -> str:
    estimate = forecast.estimate
    if estimate.fits_cache:
        return IN_CACHE
    if estimate.bandwidth is None:
        return NOT_MEASURED
    if estimate.ceiling is None:
        return TOO_SMALL
    source = "" if estimate.bandwidth_measured else " (driver's figure · F5 measures)"
    return f"at most {ceiling_text(estimate.ceiling)} at {speed_text(estimate.bandwidth or 0)}{source}"


def _build(forecast: Forecast, *, named: bool = False) -> str:
    if not forecast.builds:
        return "no build needed"
    host = forecast.estimate.build_host
    memory = f"build {bytes_text(host)}" if named else f"{bytes_text(host)} of host RAM"
    unknown = "time unknown" if named else NO_BUILD
    time = unknown if forecast.build is None else f"about {clock_text(forecast.build.seconds)}"
    return f"{memory}, {time}"
