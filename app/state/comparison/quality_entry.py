"""The rows of the Quality screen: every engine of a checkpoint that this machine can run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from app.state.prepare.engine_spec import engine_spec
from app.state.settings.settings import EngineChoice, Settings
from engines.backends.registry import LOCAL
from engines.build.options import with_origin
from engines.build.spec import EngineSpec
from engines.compare.comparison import Row
from engines.compare.latest import Latest
from engines.compare.outdated import outdated
from engines.compare.rows import file_title, title
from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import Checkpoint, read_checkpoint
from engines.plan.checkpoint.loadable import support_of
from engines.plan.estimate.estimate import estimate_weight_bytes
from engines.plan.gguf_formats import GGUF_BACKEND, offered_precisions, precision_of
from engines.plan.hardware.hardware import Device
from engines.plan.hardware.placement import device_of
from engines.plan.precision import PRECISIONS

REFERENCE_BACKEND = "pytorch"


class EntryState(StrEnum):
    """What is known about an engine."""

    MEASURED = "measured"
    OUTDATED = "outdated"
    FAILED = "failed"
    MISSING = "not measured"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class QualityEntry:
    """An engine with what was measured of it."""

    title: str
    state: EntryState
    choice: EngineChoice | None
    """None where no backend runs the precision on this machine."""
    spec: EngineSpec | None
    row: Row | None = None
    why: str = ""
    """Why it is outdated, failed or unavailable."""
    is_reference: bool = False
    expected_bytes: int = 0
    """Of its weights, before it is measured; 0 if unknown."""

    @property
    def is_wanted(self) -> bool:
        """Whether a measurement is missing that this machine can make."""
        wanted = (EntryState.OUTDATED, EntryState.FAILED, EntryState.MISSING)
        return self.spec is not None and self.state in wanted


@dataclass(frozen=True)
class Machine:
    """The devices that engines run on."""

    cpu: Device
    gpu: Device | None


def reference_choice(machine: Machine, checkpoint: Checkpoint | None) -> EngineChoice:
    """Return the engine that others are compared with: PyTorch, in FP32 on a CPU: the most exact.

    On a GPU it is the checkpoint's own precision if that runs, because FP32 takes twice the memory. Of a GGUF
    file it is its dequantised form; of one that has none the file itself, as no engine computes it better.
    """
    device = device_of(REFERENCE_BACKEND, machine.cpu, machine.gpu)
    if checkpoint and checkpoint.gguf_precision:
        found = support_of(REFERENCE_BACKEND, "fp32", device, checkpoint)
        if found.state == "unavailable":
            return EngineChoice(GGUF_BACKEND, checkpoint.gguf_precision)
    own = checkpoint.dtype if checkpoint else ""
    if device.kind == "cpu" or own not in PRECISIONS:
        return EngineChoice(REFERENCE_BACKEND, "fp32")
    runs = support_of(REFERENCE_BACKEND, own, device, checkpoint).state != "unavailable"
    return EngineChoice(REFERENCE_BACKEND, own if runs else "fp32")


def quality_entries(
    settings: Settings, machine: Machine, checkpoint: Checkpoint | None, latest: Latest | None, texts: str
) -> list[QualityEntry]:
    """Return the reference, then the engines that run, then the precisions that no backend runs.

    Blocking: asks which packages are installed.

    Args:
        checkpoint: None if it is not downloaded.
        latest: what was measured before.
        texts: digest of the current texts.
    """
    reference = reference_choice(machine, checkpoint)
    stale = _stale(latest, texts, checkpoint)
    found, reasons = list[QualityEntry](), dict[str, str]()
    for backend in LOCAL:
        device = device_of(backend, machine.cpu, machine.gpu)
        for precision in offered_precisions(checkpoint, backend):
            support = support_of(backend, precision, device, checkpoint, settings.context)
            choice = EngineChoice(backend, precision)
            if support.state == "unavailable":
                # PyTorch's reason is that it is the reference; others say what the device lacks.
                if backend != REFERENCE_BACKEND:
                    reasons.setdefault(precision, f"{support.reason} {support.remedy}".strip())
                continue
            spec = with_origin(engine_spec(settings, choice, machine.cpu, machine.gpu), checkpoint)
            entry = _entry(choice, spec, latest, stale, checkpoint, is_reference=choice == reference)
            found.insert(0 if entry.is_reference else len(found), entry)
    found += _own_files(settings, machine, latest, stale)
    running = {entry.choice.precision for entry in found if entry.choice}
    missing = [name for name in offered_precisions(checkpoint) if name not in running]
    return [*found, *(_unavailable(name, reasons.get(name, "No backend runs it.")) for name in missing)]


def _own_files(
    settings: Settings, machine: Machine, latest: Latest | None, stale: str
) -> Iterator[QualityEntry]:
    """Yield the GGUF files that sides run beside the checkpoint of the settings."""
    files = {choice.checkpoint_path: choice for choice in (settings.left, settings.right)}
    for path, choice in files.items():
        with suppress(EngineError):  # said where it is opened
            if path:
                spec = engine_spec(settings, choice, machine.cpu, machine.gpu)
                yield _entry(choice, spec, latest, stale, read_checkpoint(Path(path)), is_reference=False)


def _stale(latest: Latest | None, texts: str, checkpoint: Checkpoint | None) -> str:
    """Return why no row is up to date; empty if that depends on the row."""
    if latest is None:
        return ""
    if latest.texts != texts:
        return "the texts changed"
    why = outdated(latest.comparison.reference, checkpoint)
    return f"the reference: {why}" if why else ""


def _entry(
    choice: EngineChoice,
    spec: EngineSpec,
    latest: Latest | None,
    stale: str,
    checkpoint: Checkpoint | None,
    *,
    is_reference: bool,
) -> QualityEntry:
    name = file_title(spec) if choice.checkpoint else title(spec)
    row, why = _row(name, latest, is_reference=is_reference)
    expected = estimate_weight_bytes(checkpoint, choice.precision) if checkpoint else 0
    state = EntryState.MISSING
    if row is not None:
        why = why or stale or outdated(row, checkpoint)
        state = EntryState.OUTDATED if why else EntryState.MEASURED
        if row.error:
            state, why = EntryState.FAILED, row.error
    return QualityEntry(name, state, choice, spec, row, why, is_reference, expected)


def _row(name: str, latest: Latest | None, *, is_reference: bool) -> tuple[Row | None, str]:
    """Return the row of an engine, and why it is out of date."""
    if latest is None:
        return None, ""
    if is_reference:
        return latest.comparison.reference, ""
    current = next((row for row in latest.comparison.rows if row.title == name), None)
    if current is not None:
        return current, ""
    older = next((one for one in latest.older if one.row.title == name), None)
    return (older.row, older.why) if older else (None, "")


def _unavailable(precision: str, why: str) -> QualityEntry:
    return QualityEntry(precision_of(precision).title, EntryState.UNAVAILABLE, None, None, why=why)


def wanted(entries: Sequence[QualityEntry]) -> list[EngineSpec]:
    """Return the engines to measure, apart from the reference, which every comparison begins with."""
    return [entry.spec for entry in entries if entry.spec and entry.is_wanted and not entry.is_reference]
