"""The table of a comparison: one line for each engine, the reference first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from engines.compare.comparison import ChoiceResult, Comparison, Row, Speed
from engines.measure.quality import QualityCard

BUSY_PERCENT = 20.0
"""Processor time of other programs from which on a speed is marked: the figures of two runs then differ."""
BUSY_MARK = "*"
NOISE_MARK = "°"
BUSY_NOTE = f"{BUSY_MARK} measured while other programs used the processor: compare no speeds with it"


@dataclass(frozen=True)
class Column:
    """A column of the table."""

    title: str
    help: str
    text: Callable[[Row], str]


def _quality(text: Callable[[QualityCard], str]) -> Callable[[Row], str]:
    return lambda row: text(row.quality) if row.quality else ""


def _kld(name: str) -> Callable[[Row], str]:
    return _quality(lambda card: divergence(card.kld[name], at_least=card.at_least))


BOUND_NOTE = "≥ a lower bound: a server returns the most likely tokens only"


def divergence(value: float, *, at_least: bool = False) -> str:
    """Return a KLD with two significant digits, marked where it is a lower bound."""
    digits = f"{value:#.2g}".rstrip(".") if value >= 1e-4 else f"{value:.0e}"
    return f"≥ {digits}" if at_least else digits


def percent(value: float) -> str:
    """Return a share in percent with one decimal."""
    return f"{100 * value:.1f} %"


def megabytes(value: int) -> str:
    """Return a size in MB, 10^6 bytes; empty for 0."""
    return f"{value / 1e6:,.1f}" if value else ""


def speed_text(speed: Speed | None) -> str:
    """Return the median rate and its range; marked if other programs used the processor."""
    if speed is None or not speed.rates:
        return ""
    low, high = min(speed.rates), max(speed.rates)
    mark = BUSY_MARK if speed.busy_percent >= BUSY_PERCENT else ""
    return f"{_rate(median(speed.rates))} ({_rate(low)}–{_rate(high)}){mark}"


def choice_text(choices: ChoiceResult | None) -> str:
    """Return the share of right answers and its interval."""
    if choices is None:
        return ""
    low, high = choices.accuracy_interval
    return f"{percent(choices.accuracy)} ({percent(low)[:-2]}–{percent(high)[:-2]})"


def flips_text(row: Row) -> str:
    """Return how many answers differ from the reference's; empty for the reference."""
    if row.choices is None or row.quality is None:
        return ""
    return f"{row.choices.flips} of {len(row.choices.chosen)}"


def noise_note(comparison: Comparison) -> str:
    """Return what the mark of a KLD means; empty without a noise floor."""
    floor = comparison.noise_floor
    if floor is None:
        return ""
    return f"{NOISE_MARK} not distinguishable from the reference: the noise floor is {divergence(floor)} nats"


def notes(comparison: Comparison) -> list[str]:
    """Return what the marks in the table mean, of those that may be there."""
    bounds = any(row.quality and row.quality.at_least for row in comparison.rows)
    found = (noise_note(comparison), BOUND_NOTE if bounds else "", BUSY_NOTE if is_busy(comparison) else "")
    return list(filter(None, found))


def cell(column: Column, row: Row, comparison: Comparison) -> str:
    """Return the text of a cell; a mean KLD that is not above the noise floor is marked."""
    text = column.text(row)
    return f"{text}{NOISE_MARK}" if column.title == MEAN_KLD and text and comparison.is_noise(row) else text


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def is_busy(comparison: Comparison) -> bool:
    """Return whether other programs used the processor while a speed was measured."""
    return any(map(is_row_busy, (comparison.reference, *comparison.rows)))


def is_row_busy(row: Row) -> bool:
    """Return whether other programs used the processor while the row's speed was measured."""
    return row.speed is not None and row.speed.busy_percent >= BUSY_PERCENT


MEAN_KLD = "KLD mean"
COLUMNS = (
    Column("Engine", "backend and precision", lambda row: row.title),
    Column("MB", "weights, 10⁶ bytes", lambda row: megabytes(row.weight_bytes)),
    Column("bits", "bits per weight", lambda row: f"{row.bits_per_weight:.2f}" if row.weight_bytes else ""),
    Column("Memory MB", "weights, KV cache and the rest, loaded", lambda row: megabytes(row.memory_bytes)),
    Column(
        "PPL ratio",
        "perplexity relative to the reference ± standard error",
        _quality(lambda card: f"{card.ppl_ratio:.4f} ± {card.ppl_ratio_error:.4f}"),
    ),
    Column(
        MEAN_KLD,
        "KL divergence from the reference, nats",
        _quality(lambda card: divergence(card.mean_kld, at_least=card.at_least)),
    ),
    Column("median", "median KLD", _kld("Median")),
    Column("p90", "90th percentile of the KLD", _kld("90.0%")),
    Column("p95", "95th percentile of the KLD", _kld("95.0%")),
    Column("p99", "99th percentile of the KLD", _kld("99.0%")),
    Column("p99.9", "99.9th percentile of the KLD", _kld("99.9%")),
    Column("max", "largest KLD", _kld("Maximum")),
    Column(
        "Same top",
        "positions with the same most likely token, 95 % interval",
        _quality(
            lambda card: (
                f"{percent(card.same_top)} ({percent(card.same_top_interval[0])[:-2]}–"
                f"{percent(card.same_top_interval[1])[:-2]})"
            )
        ),
    ),
    Column(
        "RMS Δp", "change of the text's tokens' probabilities", _quality(lambda c: percent(c.rms_delta_p))
    ),
    Column("Accuracy", "right answers to the questions, 95 % interval", lambda row: choice_text(row.choices)),
    Column("Flips", "questions with another answer than the reference's", flips_text),
    Column("tok/s", "decode rate, median and range", lambda row: speed_text(row.speed)),
    Column(
        "TTFT ms",
        "time to first token, median",
        lambda row: f"{1000 * row.speed.ttft:.0f}" if row.speed else "",
    ),
)
