"""One engine of a comparison in words: a few facts, and one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from engines.compare.comparison import Comparison, Row
from engines.compare.report.scatter import SMALLEST
from engines.compare.report.table import (
    BUSY_MARK,
    BUSY_PERCENT,
    choice_text,
    divergence,
    flips_text,
    megabytes,
    percent,
    speed_text,
)

BANDS = ((0.01, "negligible"), (0.05, "small"), (0.15, "moderate"), (0.5, "large"))
"""Mean KLDs in nats below which a difference is called so: the usage of those who publish such tables."""


@dataclass(frozen=True)
class Fact:
    """A figure with its label."""

    label: str
    value: str
    note: str = ""
    share: float | None = None
    """Part of a whole, which can be drawn as a bar."""


def band(row: Row, comparison: Comparison) -> str:
    """Return what a mean KLD is called."""
    if row.quality is None:
        return ""
    if comparison.is_noise(row):
        return "not distinguishable"
    return next((name for limit, name in BANDS if row.quality.mean_kld < limit), "very large")


def facts(row: Row, comparison: Comparison) -> list[Fact]:
    """Return the figures of an engine that was measured, or of the reference."""
    found = [*_size(row, comparison.reference), *_quality(row, comparison)]
    if row.choices:
        note = f"{flips_text(row)} answers flipped" if row.quality else ""
        found.append(Fact("accuracy", choice_text(row.choices), note, row.choices.accuracy))
    if row.speed:
        ratio = _speed_ratio(row, comparison.reference)
        found.append(Fact("decode", f"{speed_text(row.speed)} tok/s", ratio))
        found.append(Fact("TTFT", f"{1000 * row.speed.ttft:.0f} ms"))
    return found


def _size(row: Row, reference: Row) -> list[Fact]:
    found = []
    if row.weight_bytes:
        part = row.weight_bytes / reference.weight_bytes if reference.weight_bytes else None
        note = "" if part is None or row == reference else f"{percent(part)} of the reference"
        bits = f"{megabytes(row.weight_bytes)} MB, {row.bits_per_weight:.2f} bits"
        found.append(Fact("weights", bits, note, part and min(1.0, part)))
    if row.memory_bytes:
        found.append(Fact("memory", f"{megabytes(row.memory_bytes)} MB", "with the KV cache"))
    return found


def _quality(row: Row, comparison: Comparison) -> list[Fact]:
    card = row.quality
    if card is None:
        return []
    low, high = card.same_top_interval
    shown = divergence(card.mean_kld, at_least=card.at_least)
    tail = f"p99 {divergence(card.kld['99.0%'])}, max {divergence(card.kld['Maximum'])}"
    return [
        Fact("KLD mean", shown, f"{band(row, comparison)}; {tail}"),
        Fact("same top", percent(card.same_top), f"{percent(low)[:-2]}–{percent(high)}", card.same_top),
        Fact("PPL", f"{card.ppl:.2f}", f"reference {card.ppl_base:.2f}, ×{card.ppl_ratio:.4f}"),
    ]


def _speed_ratio(row: Row, reference: Row) -> str:
    if not (row.speed and row.speed.rates and reference.speed and reference.speed.rates) or row == reference:
        return ""
    ratio = median(row.speed.rates) / median(reference.speed.rates)
    is_busy = max(row.speed.busy_percent, reference.speed.busy_percent) >= BUSY_PERCENT
    return f"{ratio:.2g}× {reference.title}{BUSY_MARK if is_busy else ''}"


def sentence(row: Row, comparison: Comparison) -> str:
    """Return what was found about an engine, in one sentence."""
    card, name = row.quality, f"{comparison.checkpoint} with {row.title}"
    if card is None:
        return f"{name}: {row.error or 'the reference of this comparison'}."
    parts = [
        f"{megabytes(row.weight_bytes)} MB",
        f"KLD {divergence(card.mean_kld, at_least=card.at_least)} nats from {comparison.reference.title} "
        f"({band(row, comparison)})",
        f"the same most likely token at {percent(card.same_top)} of {card.tokens:,} positions",
        f"perplexity ×{card.ppl_ratio:.3f}",
    ]
    if row.choices:
        parts.append(f"{flips_text(row)} answers flipped")
    if row.speed and row.speed.rates:
        parts.append(f"{speed_text(row.speed)} tok/s")
    return f"{name}: {', '.join(parts)}."


def advice(row: Row, comparison: Comparison) -> str:
    """Return which engine would be the better choice and why; empty if none is."""
    if row.quality is None or comparison.is_noise(row):
        return ""
    others = [one for one in comparison.rows if one.quality and one.weight_bytes and one.title != row.title]
    smaller = [one for one in others if one.weight_bytes <= row.weight_bytes and _kld(one) < _kld(row)]
    if smaller:
        best = min(smaller, key=_kld)
        is_same = best.weight_bytes == row.weight_bytes
        return f"{best.title} is {'as small' if is_same else 'smaller'}, and closer to the reference."
    if row.quality.mean_kld < BANDS[0][0]:
        return ""
    closer = [one for one in others if _kld(one) < _kld(row) / 2]
    if not closer:
        return ""
    best = min(closer, key=lambda one: one.weight_bytes)
    more, times = best.weight_bytes - row.weight_bytes, _kld(row) / max(_kld(best), SMALLEST)
    return f"{best.title}: {megabytes(more)} MB more, and {times:,.0f} times closer."


def _kld(row: Row) -> float:
    assert row.quality
    return row.quality.mean_kld


def card_markdown(row: Row, comparison: Comparison) -> str:
    """Return the sentence and the facts as Markdown."""
    lines = [
        f"- {fact.label}: {fact.value}{f' ({fact.note})' if fact.note else ''}"
        for fact in facts(row, comparison)
    ]
    return "\n".join([f"**{row.title}**: {sentence(row, comparison)}", "", *lines]) + "\n"
