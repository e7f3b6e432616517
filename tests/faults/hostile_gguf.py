"""GGUF files that cannot be right, in place of the checkpoint."""

from __future__ import annotations

from pathlib import Path

from tests.engines.gguf.hostile import HOSTILE, LATER
from tests.faults.hostile_case import Case

FILE = "model.gguf"


def _only(data: bytes) -> Case:
    def case(folder: Path) -> Path:
        (folder / FILE).write_bytes(data)
        return folder / FILE

    return case


GGUF: dict[str, Case] = {name: _only(data) for name, (data, _) in (HOSTILE | LATER).items()}
