"""What building and loading the chosen engines will do, step by step, and how long it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.state.prepare.forecast import Forecast
from app.state.prepare.load_times import load_key
from app.state.settings.settings import EngineChoice, Server
from engines.backends.registry import engine_title
from engines.build.options import with_origin
from engines.build.spec import EngineSpec
from engines.build.stored_engine import StoredEngine
from engines.plan.checkpoint.checkpoint import Checkpoint


@dataclass(frozen=True)
class EnginePlan:
    """The steps to one engine."""

    side: str
    title: str
    steps: tuple[str, ...]
    """Of `download`, `build`, `load`, or `connect` to a server; empty where the engine is loaded already."""
    seconds: float | None
    """By this machine's history, without the download; None where a step was never timed."""
    memory: int
    """Bytes of the loaded engine."""
    disk: int
    """Bytes that the engine store grows by."""
    download: int
    """Bytes of the checkpoint; 0 where it is on this disk."""
    free: int | None
    """Bytes that are free on the disk of the hub cache."""


@dataclass(frozen=True)
class History:
    """What this machine has built and loaded."""

    engines: Sequence[StoredEngine] = ()
    load_times: Mapping[str, float] | None = None
    free_disk: int | None = None
    """Bytes free where downloads go; None where that is unknown."""


def engine_plan(
    side: str,
    choice: EngineChoice,
    checkpoint: Checkpoint,
    forecast: Forecast,
    history: History,
    *,
    is_remote: bool,
    is_loaded: bool,
) -> EnginePlan:
    """Return the steps to the engine of one side.

    Args:
        is_remote: whether the checkpoint has to be downloaded.
        is_loaded: whether the side has this engine already.
    """
    plain = EngineSpec(str(checkpoint.folder), choice.backend, choice.precision)
    title = engine_title(with_origin(plain, checkpoint))
    stored = not is_remote and any(_is_engine(one, choice, checkpoint) for one in history.engines)
    builds = forecast.builds and not stored
    steps = ("download",) * is_remote + ("build",) * builds + ("load",)
    times = history.load_times or {}
    load = times.get(load_key(str(checkpoint.folder), choice.backend, choice.precision))
    build = forecast.build.seconds if forecast.build else None
    known = load is not None and (build is not None or not builds)
    seconds = (load or 0.0) + (build or 0.0) * builds if known else None
    return EnginePlan(
        side,
        title,
        () if is_loaded else steps,
        0.0 if is_loaded else seconds,
        forecast.estimate.loaded,
        forecast.estimate.weights if builds and not is_loaded else 0,
        checkpoint.download_bytes if is_remote else 0,
        history.free_disk,
    )


def connection_plan(side: str, server: Server) -> EnginePlan:
    """Return the step to an engine on a server."""
    return EnginePlan(side, f"Server {server.address}", ("connect",), 0.0, 0, 0, 0, None)


def _is_engine(stored: StoredEngine, choice: EngineChoice, checkpoint: Checkpoint) -> bool:
    spec = stored.spec
    made = (spec.checkpoint, spec.backend, spec.precision, spec.options)
    return made == (str(checkpoint.folder), choice.backend, choice.precision, choice.options)
