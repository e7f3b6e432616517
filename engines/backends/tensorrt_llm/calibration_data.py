"""The texts that the model is shown to calibrate: what ships with the project, or the user's own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from engines.plan.calibration import CHUNK_CHARACTERS, read_calibration

CORPUS = Path(__file__).parents[2] / "demo" / "corpus" / "data"
TEXTS = 128
"""NVIDIA's examples calibrate with 128 to 512."""
_QUOTED = re.compile(r'"([^"\n]{20,})"')


def calibration_texts(file: str) -> list[str]:
    """Texts of some length, at most TEXTS of them.

    Args:
        file: the user's, or empty for the sentences of the demo's corpus.

    Raises:
        EngineError: the file cannot be read, is no text, or holds next to nothing.
    """
    if file:
        return _pieces(read_calibration(file).texts)
    corpus = "\n".join(one.read_text("utf-8") for one in sorted(CORPUS.glob("*.toml")))
    return _pieces(["\n".join(_QUOTED.findall(corpus))])


def write_data_set(texts: list[str], folder: Path) -> Path:
    """The texts as a local data set with one column, `text`, as the library's own calibration reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps({"text": text}, ensure_ascii=False) for text in texts)
    (folder / "train.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


def _pieces(texts: Iterable[str]) -> list[str]:
    """Spread over all that there is, not its beginning."""
    cut = (text[at : at + CHUNK_CHARACTERS] for text in texts for at in range(0, len(text), CHUNK_CHARACTERS))
    whole = [piece for piece in cut if piece.strip()]
    count = min(TEXTS, len(whole))
    return [whole[index * len(whole) // count] for index in range(count)]
