"""A comparison with two engines and one that failed."""

from __future__ import annotations

from engines.compare.comparison import (
    Alternative,
    Comparison,
    Passage,
    Position,
    Row,
    ScoredTextInfo,
    Speed,
)
from engines.measure.quality import KLD_PERCENTILES, QualityCard


def card(mean_kld: float, *, at_least: bool = False) -> QualityCard:
    """Return a quality whose percentiles are multiples of the mean."""
    return QualityCard(
        tokens=500,
        ppl_base=10.0,
        ppl=10.5,
        ppl_ratio_error=0.01,
        mean_kld=mean_kld,
        kld={name: mean_kld * percent / 50 for name, percent in KLD_PERCENTILES},
        mean_delta_p=-0.01,
        rms_delta_p=0.05,
        same_top=0.9,
        same_top_interval=(0.87, 0.92),
        at_least=at_least,
    )


def row(title: str, weight_bytes: int, quality: QualityCard | None, busy: float = 0.0) -> Row:
    """Return a row with a passage of two tokens, one of which looks like HTML."""
    backend, _, precision = title.partition(" ")
    position = Position("<b>", 1.5, (Alternative("a&b", 0.75),), (Alternative("\n", 0.5),))
    return Row(
        title,
        backend,
        precision,
        "auto",
        "0123456789abcdef0123",
        weight_bytes=weight_bytes,
        bits_per_weight=8.0,
        quality=quality,
        speed=Speed((100.0, 120.0, 110.0), 0.025, busy),
        passages=(Passage("prose", 0, (position, Position(" x", 0.001))),) if quality else (),
    )


COMPARISON = Comparison(
    checkpoint="small|model",
    reference=row("PyTorch fp32", 40_000_000, None),
    rows=(
        row("OpenVINO int8", 10_000_000, card(0.0025)),
        row("OpenVINO int4", 5_000_000, card(0.2, at_least=True), busy=90.0),
        row("OpenVINO int6", 11_000_000, card(0.004)),
        Row("OpenVINO fp8", "openvino", "fp8", "auto", "", error="CPUs have no <FP8>."),
    ),
    texts=(ScoredTextInfo("prose", 501, "ab"),),
    machine={"cpu": "a CPU"},
    made_at=1_790_000_000.0,
)
