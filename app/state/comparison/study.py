"""What the Quality screen shows: a checkpoint, a set of texts, and every engine with its figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from app.state.comparison.quality_entry import (
    EntryState,
    Machine,
    QualityEntry,
    quality_entries,
    reference_choice,
)
from app.state.comparison.text_set import TextSet
from app.state.prepare.engine_spec import engine_spec
from app.state.settings.settings import Settings
from app.units import count_text
from engines.build.options import with_origin
from engines.build.prepare import local_folder
from engines.build.spec import EngineSpec
from engines.compare.comparison import Comparison
from engines.compare.latest import LatestFile
from engines.compare.noise import noise_floor
from engines.errors import EngineError, error_text
from engines.plan.checkpoint.checkpoint import Checkpoint, read_checkpoint


@dataclass(frozen=True)
class Study:
    """Read from the disk at one moment."""

    checkpoint: str
    """What it is called."""
    text_set: TextSet
    reference: EngineSpec
    reference_title: str
    entries: Sequence[QualityEntry]
    comparison: Comparison | None
    """With the rows that are up to date; None before the reference is measured."""
    file: LatestFile
    problem: str = ""
    """Why the checkpoint cannot be used."""

    @property
    def about(self) -> str:
        """What is compared, in one line."""
        texts = self.comparison.texts if self.comparison else ()
        tokens = f", {count_text(sum(text.tokens for text in texts))} tokens" if texts else ""
        return f"{self.checkpoint} · against {self.reference_title} · {self.text_set.title}{tokens}"


def read_study(settings: Settings, machine: Machine, text_set: TextSet, folder: Path) -> Study:
    """Return what is known. Blocking: reads files, and asks which packages are installed.

    Args:
        folder: of all comparisons.
    """
    checkpoint, problem = _checkpoint(settings)
    choice = reference_choice(machine, checkpoint)
    reference = with_origin(engine_spec(settings, choice, machine.cpu, machine.gpu), checkpoint)
    file = LatestFile.of(folder, reference, text_set.name, text_set.texts)
    latest = file.read()
    entries = quality_entries(settings, machine, checkpoint, latest, file.texts)
    comparison = _current(latest.comparison, entries) if latest else None
    name = settings.checkpoint
    if checkpoint and Path(name).expanduser().exists():
        name = checkpoint.name
    title = next((entry.title for entry in entries if entry.is_reference), f"PyTorch {choice.precision}")
    return Study(name, text_set, reference, title, entries, comparison, file, problem)


def _checkpoint(settings: Settings) -> tuple[Checkpoint | None, str]:
    """Return the checkpoint, if it is on this disk, or why it cannot be used."""
    try:
        folder = local_folder(EngineSpec(settings.checkpoint_path, "", ""))
        return (read_checkpoint(folder) if folder else None), ""
    except EngineError as error:
        return None, error_text(error)


def _current(comparison: Comparison, entries: Sequence[QualityEntry]) -> Comparison | None:
    """Return the comparison with the rows that are up to date; None if its reference is not."""
    state = {entry.title: entry.state for entry in entries}
    if state.get(comparison.reference.title) is not EntryState.MEASURED:
        return None
    shown = (EntryState.MEASURED, EntryState.FAILED)
    rows = tuple(row for row in comparison.rows if state.get(row.title) in shown)
    floor = noise_floor(comparison.reference, rows, comparison.dtype)
    return replace(comparison, rows=rows, noise_floor=floor)
