"""A comparison as CSV: full precision, one line for each engine."""

from __future__ import annotations

import csv
import io
from statistics import median

from engines.compare.comparison import Comparison, Row
from engines.measure.quality import KLD_PERCENTILES

FIELDS = (
    "engine",
    "backend",
    "precision",
    "kv_precision",
    "digest",
    "weight_bytes",
    "bits_per_weight",
    "memory_bytes",
    "tokens",
    "ppl",
    "ppl_ratio",
    "ppl_ratio_error",
    "kld_mean",
    *(f"kld_{name.lower().rstrip('%')}" for name, _ in KLD_PERCENTILES),
    "kld_is_lower_bound",
    "same_top",
    "same_top_low",
    "same_top_high",
    "mean_delta_p",
    "rms_delta_p",
    "below_noise_floor",
    "questions",
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "flips",
    "tokens_per_second",
    "ttft_seconds",
    "error",
)


def csv_table(comparison: Comparison) -> str:
    """Return the table, with the reference as its first line."""
    sink = io.StringIO()
    writer = csv.DictWriter(sink, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_fields(row, comparison) for row in (comparison.reference, *comparison.rows))
    return sink.getvalue()


def _fields(row: Row, comparison: Comparison) -> dict[str, object]:
    found: dict[str, object] = {
        "engine": row.title,
        "backend": row.backend,
        "precision": row.precision,
        "kv_precision": row.kv_precision,
        "digest": row.digest,
        "weight_bytes": row.weight_bytes,
        "bits_per_weight": row.bits_per_weight,
        "memory_bytes": row.memory_bytes,
        "error": row.error,
    }
    if row.speed and row.speed.rates:
        found |= {"tokens_per_second": median(row.speed.rates), "ttft_seconds": row.speed.ttft}
    if card := row.quality:
        found |= {
            "tokens": card.tokens,
            "ppl": card.ppl,
            "ppl_ratio": card.ppl_ratio,
            "ppl_ratio_error": card.ppl_ratio_error,
            "kld_mean": card.mean_kld,
            **{f"kld_{name.lower().rstrip('%')}": value for name, value in card.kld.items()},
            "kld_is_lower_bound": card.at_least,
            "same_top": card.same_top,
            "same_top_low": card.same_top_interval[0],
            "same_top_high": card.same_top_interval[1],
            "mean_delta_p": card.mean_delta_p,
            "rms_delta_p": card.rms_delta_p,
        }
        if comparison.noise_floor is not None:
            found["below_noise_floor"] = comparison.is_noise(row)
    if choices := row.choices:
        low, high = choices.accuracy_interval
        found |= {
            "questions": len(choices.chosen),
            "accuracy": choices.accuracy,
            "accuracy_low": low,
            "accuracy_high": high,
        }
        if row.quality:
            found["flips"] = choices.flips
    return found
