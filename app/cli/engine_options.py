"""The options `--calibration` and `--gpus`, checked before a worker starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer
from msgspec.structs import replace

from app.state.settings.settings import EngineChoice
from engines.backends.registry import titles_with
from engines.build.options import builds_uncalibrated, calibrates, refuse_split, splits
from engines.errors import EngineError
from engines.plan.calibration import WITHOUT, read_calibration

CALIBRATION, GPUS = "--calibration", "--gpus"


def with_options(
    choices: Sequence[EngineChoice], calibration: Path | None, gpus: int | None
) -> tuple[EngineChoice, ...]:
    """Return the choices with the options set on those that support them.

    Raises:
        typer.BadParameter: an option cannot be used, or none of the engines supports it.
    """
    changed = tuple(choices)
    if calibration is not None:
        changed = _calibrated(changed, calibration)
    return changed if gpus is None else _split(changed, gpus)


def _calibrated(choices: tuple[EngineChoice, ...], file: Path) -> tuple[EngineChoice, ...]:
    if not any(calibrates(choice.backend, choice.precision) for choice in choices):
        supported = titles_with("calibrates")
        message = f"{_names(choices)} cannot be calibrated. Only quantised precisions of {supported} can."
        raise typer.BadParameter(message, param_hint=CALIBRATION)
    if str(file) == WITHOUT:
        return _uncalibrated(choices)
    with _as_bad_parameter(CALIBRATION):
        read_calibration(str(file))
        path = str(file.expanduser().absolute())
    return tuple(
        replace(choice, calibration=path) if calibrates(choice.backend, choice.precision) else choice
        for choice in choices
    )


def _uncalibrated(choices: tuple[EngineChoice, ...]) -> tuple[EngineChoice, ...]:
    if not any(builds_uncalibrated(choice.backend, choice.precision) for choice in choices):
        others = "OpenVINO's int4 and llama.cpp's q4_k_m can."
        message = f"{_names(choices)} cannot be built without calibration. {others}"
        raise typer.BadParameter(message, param_hint=CALIBRATION)
    return tuple(
        replace(choice, calibration=WITHOUT)
        if builds_uncalibrated(choice.backend, choice.precision)
        else choice
        for choice in choices
    )


def _split(choices: tuple[EngineChoice, ...], count: int) -> tuple[EngineChoice, ...]:
    if count > 1 and not any(splits(choice.backend) for choice in choices):
        message = f"{_names(choices)} can use one GPU at most. Only {titles_with('splits')} can be split."
        raise typer.BadParameter(message, param_hint=GPUS)
    with _as_bad_parameter(GPUS):
        for choice in choices:
            if splits(choice.backend):
                refuse_split(choice.backend, count)
    return tuple(replace(choice, gpus=count) if splits(choice.backend) else choice for choice in choices)


def _names(choices: tuple[EngineChoice, ...]) -> str:
    return " and ".join(dict.fromkeys(f"{choice.backend}:{choice.precision}" for choice in choices))


@contextmanager
def _as_bad_parameter(option: str) -> Iterator[None]:
    """Raise an EngineError as the error of a command line option."""
    try:
        yield
    except EngineError as error:
        raise typer.BadParameter(f"{error.message} {error.hint}", param_hint=option) from error
