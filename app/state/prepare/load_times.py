"""How long engines took to load on this machine, kept in a file next to the engines."""

from __future__ import annotations

from pathlib import Path

from app.state.settings import paths
from app.state.settings.number_file import add_number, read_numbers


def load_times_file() -> Path:
    """Return the path of the file."""
    return paths.engine_store() / "load_times.json"


def read_load_times() -> dict[str, float]:
    """Return the seconds of the last load of each engine, by `load_key`."""
    return read_numbers(load_times_file())


def save_load_time(checkpoint: str, backend: str, precision: str, seconds: float) -> None:
    """Keep the seconds that loading took."""
    add_number(load_times_file(), load_key(checkpoint, backend, precision), seconds)


def load_key(checkpoint: str, backend: str, precision: str) -> str:
    """Return the name under which the load time of an engine is kept; `checkpoint` is its folder."""
    return f"{backend} {precision} {checkpoint}"
