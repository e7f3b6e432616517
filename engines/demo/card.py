"""Render the model card of the demo checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from string import Template

from engines.demo.evaluate import CheckpointScore

TEMPLATE = Path(__file__).parent / "card.md"


@dataclass(frozen=True, slots=True)
class TrainingFacts:
    """How the checkpoint was trained."""

    hardware: str
    minutes: float
    versions: dict[str, str]
    steps: int
    tokens: int


def render_card(facts: TrainingFacts, score: CheckpointScore) -> str:
    """Return the text of the card."""
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        hardware=facts.hardware,
        minutes=f"{facts.minutes:.1f}",
        versions=", ".join(f"{name} {version}" for name, version in facts.versions.items()),
        steps=f"{facts.steps:,}",
        tokens=f"{facts.tokens / 1e6:.0f}",
        right=score.right,
        total=score.total,
        share=f"{score.right / score.total:.1%}",
        perplexity=f"{score.perplexity:.3f}",
        table=score.table(),
    )
