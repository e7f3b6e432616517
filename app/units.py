"""Format numbers with units, and parse sizes in bytes. Unknown values are shown as `n/a`."""

from __future__ import annotations

import re
from math import isfinite
from typing import TypeGuard

MISSING = "n/a"
"""Shown for None, NaN, infinity and negative values, which no measurement of the app can have."""

_BYTE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def bytes_text(count: float | None) -> str:
    """Return `1.21 GiB`: binary units, three significant digits."""
    if not _known(count):
        return MISSING
    value, unit = float(count), 0
    # 999.5 would be rounded to 1000; use the next unit, 0.98, instead.
    while value >= 999.5 and unit < len(_BYTE_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.0f} B" if unit == 0 else f"{_three_digits(value)} {_BYTE_UNITS[unit]}"


def bytes_of_text(used: float | None, total: float | None) -> str:
    """Return `21.3 of 64.0 GiB`, with both units if they differ."""
    first, second = bytes_text(used), bytes_text(total)
    if MISSING in (first, second):
        return first if second == MISSING else f"{MISSING} of {second}"
    number, unit = first.split()
    return f"{number if second.endswith(f' {unit}') else first} of {second}"


def seconds_text(seconds: float | None) -> str:
    """Return `21.4 ms`, `1.24 s`, `2 min 05 s` or `1 h 03 min`."""
    if not _known(seconds):
        return MISSING
    if seconds == 0:
        return "0 s"
    if seconds < 0.9995e-3:
        return f"{_three_digits(seconds * 1e6)} µs"
    if seconds < 0.9995:
        return f"{_three_digits(seconds * 1e3)} ms"
    if seconds < 59.95:
        return f"{_three_digits(seconds)} s"
    return _clock_text(round(seconds))


def clock_text(seconds: float) -> str:
    """Return whole seconds, `12 s`, `2 min 05 s` or `1 h 03 min`: for clocks that run and times ahead."""
    if not _known(seconds):
        return MISSING
    return f"{seconds:.0f} s" if seconds < 59.5 else _clock_text(round(seconds))


def live_rate_text(rate: float | None) -> str:
    """Return `182 tok/s`, `63 tok/s`, `4.2 tok/s` or `0.5 tok/s`: as exact as the few tokens of a moment."""
    if not _known(rate):
        return MISSING
    digits = f"{rate:,.0f}" if rate >= 9.95 else f"{rate:.1f}" if rate >= 0.95 else f"{rate:.2g}"
    return f"{digits} tok/s"


def rate_text(rate: float | None, unit: str = "tok/s") -> str:
    """Return `182 tok/s`, `63.2 tok/s` or `0.82 tok/s`: three significant digits."""
    return f"{_three_digits(rate)} {unit}" if _known(rate) else MISSING


def ratio_text(ratio: float) -> str:
    """Return the ratio with two significant digits: `190`, `15`, `2.0`, `0.87`."""
    if not (isfinite(ratio) and ratio > 0):
        return MISSING
    rounded = float(f"{ratio:.1e}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:.1f}" if rounded >= 1 else f"{rounded:.2g}"


def count_text(count: int | None) -> str:
    """Return the count with thousands separators, as `8,000`."""
    return f"{count:,}" if _known(count) else MISSING


def parameters_text(count: int | None) -> str:
    """Return `7.0M`, `135M`, `1.7B` or `70B`: two or three significant digits, as models are named."""
    if not _known(count):
        return MISSING
    for unit, letter in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if count >= 0.9995 * unit:
            value = count / unit
            return f"{value:.0f}{letter}" if value >= 9.95 else f"{value:.1f}{letter}"
    return str(count)


def percent_text(percent: float | None) -> str:
    """Return `33 %`; `<1 %` for values between 0 and 1."""
    if not _known(percent):
        return MISSING
    return "<1 %" if 0 < percent < 1 else f"{percent:.0f} %"


def share_text(part: float | None, whole: float | None) -> str:
    """Return `part` as a percentage of `whole`; `n/a` if `whole` is 0."""
    return percent_text(100 * part / whole) if _known(part) and _known(whole) and whole > 0 else MISSING


def _known(value: float | None) -> TypeGuard[float]:
    return value is not None and isfinite(value) and value >= 0


def _three_digits(value: float) -> str:
    if value >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def _clock_text(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02d} min"


def parse_bytes(text: str) -> int | None:
    """Return the bytes of a size such as `20GB`, `500 MB` or `1.5GiB`; None for any other text."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?\s*", text, re.IGNORECASE)
    if match is None:
        return None
    number, letter, binary = match.groups()
    power = " KMGT".index(letter.upper() or " ")
    unit: int = (1024 if binary else 1000) ** power
    return round(float(number) * unit)
