"""MBU, energy and speed ceiling of an answer, as one line."""

from __future__ import annotations

from textual.content import Content

from app.state.side.snapshot import SideSnapshot
from app.units import MISSING, bytes_text, percent_text, rate_text
from app.widgets.panels.drawing import MUTED, fit_pieces

MEASURE_FIRST = ("MBU: measure the bandwidth on Models (F2, F5)", "MBU: F2, then F5")
CACHED = ("MBU over 100 %: read from the cache", "MBU over 100 %")
NONE = "–"


def cost_line(side: SideSnapshot, width: int, load: str = "") -> Content:
    """Return MBU, J/token, `load` and the ceiling, in this order; what does not fit in `width` is dropped."""
    if side.cost is None:
        pieces = [Content.styled(f"MBU {NONE}  J/token {NONE}" if side.spans else "", MUTED)]
    else:
        room = width - len(load) - 2 if load else width
        utilisation = _utilisation(side, room)
        pieces = [utilisation, _joules(side, room - utilisation.cell_length - 2)]
    pieces.append(Content.styled(load, MUTED))
    if side.cost and (ceiling := side.cost.ceiling(side.bandwidth)):
        pieces.append(Content.styled(f"at most {ceiling_text(ceiling)}", MUTED))
    return fit_pieces((piece for piece in pieces if piece.plain), width)


def mbu_terms(side: SideSnapshot) -> Content:
    """Return the terms of the MBU: bytes per token, tok/s and bandwidth; empty if one is unknown."""
    cost = side.cost
    if cost is None or not cost.rate or not side.bandwidth:
        return Content("")
    read, rate = bytes_text(cost.bytes_per_token), rate_text(cost.rate)
    return Content.styled(f"{read} per token · {rate} / {speed_text(side.bandwidth)}", MUTED)


def speed_text(bandwidth: float) -> str:
    """Format bytes per second, as `4,280 GB/s`."""
    return rate_text(bandwidth / 1e9, "GB/s")


def ceiling_text(rate: float) -> str:
    """Format an upper bound of tok/s, as `1,560 tok/s`: three significant digits."""
    return rate_text(float(f"{rate:.2e}"))


def _utilisation(side: SideSnapshot, width: int) -> Content:
    assert side.cost
    share = side.cost.mbu(side.bandwidth)
    if side.bandwidth is None:
        return Content.styled(_fitting(MEASURE_FIRST, width - len(f"  J/token {NONE}")), MUTED)
    if share is None:
        return Content.styled(f"MBU {MISSING}", MUTED)
    if share > 1 and not side.on_gpu:
        return Content(_fitting(CACHED, width))
    return Content.assemble("MBU ", (percent_text(100 * share), "bold"))


def _joules(side: SideSnapshot, width: int) -> Content:
    assert side.cost
    if side.cost.joules is not None:
        return Content(rate_text(side.cost.joules, "J/token"))
    texts = (f"J/token {NONE} ({side.cost.no_joules})", f"J/token {NONE}")
    return Content.styled(_fitting(texts, width), MUTED)


def _fitting(texts: tuple[str, ...], width: int) -> str:
    return next((text for text in texts if len(text) <= width), texts[-1])
