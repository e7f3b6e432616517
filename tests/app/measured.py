"""A comparison with fixed figures, as if every engine had been measured."""

from __future__ import annotations

from pathlib import Path

from app.playground import Playground
from app.state.comparison.quality_entry import Machine
from app.state.comparison.study import read_study
from app.state.comparison.text_set import shipped
from app.state.settings.paths import comparison_folder
from engines.compare.comparison import ChoiceResult, Comparison, Row, ScoredTextInfo, Speed
from engines.compare.latest import LatestFile
from engines.measure.quality import KLD_PERCENTILES, QualityCard, wilson_interval

TOKENS = 1044
QUESTIONS = 60
TAIL = {"Maximum": 60.0, "99.9%": 25.0, "99.0%": 8.0, "95.0%": 3.4, "90.0%": 2.1, "Median": 0.55}
"""Percentiles as multiples of the mean."""


def quality(mean_kld: float, same_top: float, ratio: float) -> QualityCard:
    """Return a quality with plausible percentiles."""
    return QualityCard(
        tokens=TOKENS,
        ppl_base=14.1,
        ppl=14.1 * ratio,
        ppl_ratio_error=0.2 * abs(ratio - 1) + 0.0002,
        mean_kld=mean_kld,
        kld={name: mean_kld * TAIL.get(name, 0.01) for name, _ in KLD_PERCENTILES},
        mean_delta_p=-0.001,
        rms_delta_p=mean_kld**0.5 / 3,
        same_top=same_top,
        same_top_interval=wilson_interval(round(same_top * TOKENS), TOKENS),
        at_least=False,
    )


def row(
    title: str, megabytes: float, rate: float, flips: int, card: QualityCard | None, busy: float = 2.0
) -> Row:
    """Return the row of an engine whose decode rate varies by 5 %."""
    backend, precision = title.split()
    return Row(
        title,
        {"PyTorch": "pytorch", "OpenVINO": "openvino"}[backend],
        precision,
        "auto",
        f"{len(title):020x}",
        weight_bytes=round(megabytes * 1e6),
        bits_per_weight=megabytes * 8 / 134.5,
        memory_bytes=round(megabytes * 1.4e6),
        quality=card,
        speed=Speed((rate * 0.95, rate, rate * 1.05), 3.1 / rate, busy),
        seconds=8.0,
        choices=ChoiceResult((0,) * QUESTIONS, 41 - flips // 3, flips),
    )


REFERENCE = row("PyTorch fp32", 538.1, 31.2, 0, None)
BF16 = row("OpenVINO bf16", 269.1, 44.0, 0, quality(0.00021, 0.995, 1.0001))
INT8 = row("OpenVINO int8", 135.0, 58.0, 2, quality(0.0044, 0.964, 1.0027))
INT4 = row("OpenVINO int4", 85.0, 66.1, 14, quality(0.306, 0.723, 1.305), busy=64.0)
FAILED = Row(
    "PyTorch bf16",
    "pytorch",
    "bf16",
    "auto",
    "",
    error="There is not enough memory. Choose a smaller precision.",
)
COMPARISON = Comparison(
    checkpoint="demo",
    reference=REFERENCE,
    rows=(BF16, INT8, INT4, FAILED),
    texts=(ScoredTextInfo("prose", TOKENS, "ab"),),
    machine={"cpu": "A processor"},
    made_at=1_790_000_000.0,
    dtype="bf16",
    noise_floor=0.00021,
)


async def keep(app: Playground, comparison: Comparison = COMPARISON, folder: Path | None = None) -> None:
    """Keep a comparison where the Quality screen of the app finds it."""
    study = read_study(app.settings, Machine(app.device, app.gpu), shipped(), folder or comparison_folder())
    await LatestFile.of(
        folder or comparison_folder(), study.reference, study.text_set.name, study.text_set.texts
    ).keep(comparison)
