"""Figures have three significant digits and a unit; unknown figures are `n/a`."""

from __future__ import annotations

from math import inf, nan

import pytest

from app.units import (
    bytes_text,
    clock_text,
    count_text,
    live_rate_text,
    percent_text,
    rate_text,
    ratio_text,
    seconds_text,
    share_text,
)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "0.98 KiB"),
        (1024, "1.00 KiB"),
        (1536 * 1024, "1.50 MiB"),
        (9.995 * 1024**3, "10.0 GiB"),
        (99.95 * 1024**3, "100 GiB"),
        (139 * 1024**3, "139 GiB"),
        (2**63, "8.00 EiB"),
        (2**80, "1,048,576 EiB"),
    ],
)
def test_bytes(count: float, text: str) -> None:
    assert bytes_text(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.0000214, "21.4 µs"),
        (0.0214, "21.4 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.00 s"),
        (59.9, "59.9 s"),
        (59.96, "1 min 00 s"),
        (125.2, "2 min 05 s"),
        (3780, "1 h 03 min"),
        (3600 * 5000, "5,000 h 00 min"),
    ],
)
def test_seconds(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (182.4, "182 tok/s"),
        (63.24, "63.2 tok/s"),
        (0.816, "0.82 tok/s"),
        (0, "0.00 tok/s"),
        (1e6, "1,000,000 tok/s"),
    ],
)
def test_rate(rate: float, text: str) -> None:
    assert rate_text(rate) == text


def test_rate_takes_another_unit() -> None:
    assert rate_text(3.5, "J/token") == "3.50 J/token"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.044, "0 s"), (12.6, "13 s"), (59.6, "1 min 00 s"), (125, "2 min 05 s"), (nan, "n/a")],
)
def test_clocks_have_whole_seconds(seconds: float, text: str) -> None:
    assert clock_text(seconds) == text


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (1234.5, "1,234 tok/s"),
        (182.4, "182 tok/s"),
        (63.24, "63 tok/s"),
        (4.21, "4.2 tok/s"),
        (0.5, "0.5 tok/s"),
    ],
)
def test_live_rates(rate: float, text: str) -> None:
    assert live_rate_text(rate) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (1234, "1,200"),
        (193.42, "190"),
        (14.72, "15"),
        (9.96, "10"),
        (7.5, "7.5"),
        (2, "2.0"),
        (0.873, "0.87"),
        (0, "n/a"),
    ],
)
def test_ratio(ratio: float, text: str) -> None:
    assert ratio_text(ratio) == text


def test_count() -> None:
    assert count_text(8000) == "8,000"


@pytest.mark.parametrize(("percent", "text"), [(0, "0 %"), (0.2, "<1 %"), (33.4, "33 %"), (100, "100 %")])
def test_percent(percent: float, text: str) -> None:
    assert percent_text(percent) == text


def test_share() -> None:
    assert share_text(1, 3) == "33 %"
    assert share_text(1, 0) == "n/a"
    assert share_text(None, 3) == "n/a"


@pytest.mark.parametrize("figure", [None, nan, inf, -1])
def test_invalid_figures_are_not_available(figure: float | None) -> None:
    for text in (bytes_text, seconds_text, rate_text, percent_text):
        assert text(figure) == "n/a"


def test_a_missing_count_is_not_available() -> None:
    assert count_text(None) == "n/a"
