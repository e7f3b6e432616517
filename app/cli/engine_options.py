"""`--calibration` and `--gpus`: options of engines, checked before anything starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer
from msgspec.structs import replace

from app.state.settings.settings import EngineChoice
from engines.backends.registry import BACKENDS
from engines.build.options import calibrates, refuse_split, splits
from engines.errors import EngineError
from engines.plan.calibration import read_calibration

CALIBRATION, GPUS = "--calibration", "--gpus"


def with_options(
    choices: Sequence[EngineChoice], calibration: Path | None, gpus: int | None
) -> tuple[EngineChoice, ...]:
    """The choices with what was said, each with what it takes of it.

    Raises:
        typer.BadParameter: it cannot be used, or none of the engines takes it.
    """
    found = tuple(choices)
    if calibration is not None:
        found = _calibrated(found, calibration)
    return found if gpus is None else _split(found, gpus)


def _calibrated(choices: tuple[EngineChoice, ...], file: Path) -> tuple[EngineChoice, ...]:
    if not any(calibrates(one.backend, one.precision) for one in choices):
        words = f"{_names(choices)}: no text is read. {_able('calibrates')} reads one, where it quantises."
        raise typer.BadParameter(words, param_hint=CALIBRATION)
    with _in_words(CALIBRATION):
        read_calibration(str(file))
        place = str(file.expanduser().absolute())
    return tuple(
        replace(one, calibration=place) if calibrates(one.backend, one.precision) else one for one in choices
    )


def _split(choices: tuple[EngineChoice, ...], count: int) -> tuple[EngineChoice, ...]:
    if count > 1 and not any(splits(one.backend) for one in choices):
        words = f"{_names(choices)}: on one GPU at most. {_able('splits')} can be split."
        raise typer.BadParameter(words, param_hint=GPUS)
    with _in_words(GPUS):
        for one in choices:
            if splits(one.backend):
                refuse_split(one.backend, count)
    return tuple(replace(one, gpus=count) if splits(one.backend) else one for one in choices)


def _names(choices: tuple[EngineChoice, ...]) -> str:
    return " and ".join(dict.fromkeys(f"{one.backend}:{one.precision}" for one in choices))


def _able(to: str) -> str:
    return " and ".join(entry.title for entry in BACKENDS.values() if getattr(entry, to))


@contextmanager
def _in_words(option: str) -> Iterator[None]:
    try:
        yield
    except EngineError as error:
        raise typer.BadParameter(f"{error.message} {error.hint}", param_hint=option) from error
