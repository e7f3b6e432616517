"""Calibration text: what ships with the project, or a file that the user names."""

from __future__ import annotations

import json
import re
from pathlib import Path

from engines.errors import EngineError

CORPUS = Path(__file__).parents[2] / "demo" / "corpus" / "data"
CHARACTERS = 1500
"""Of one text: some 400 tokens."""
TEXTS = 128
"""NVIDIA's examples calibrate with 128 to 512."""
_QUOTED = re.compile(r'"([^"\n]{20,})"')


def calibration_texts(file: str) -> list[str]:
    """Texts of some length, at most TEXTS of them.

    Args:
        file: a text file, or empty for the sentences of the demo's corpus.

    Raises:
        EngineError: the file cannot be read or holds next to nothing.
    """
    if not file:
        return _pieces("\n".join(_QUOTED.findall("\n".join(map(_read, sorted(CORPUS.glob("*.toml")))))))
    texts = _pieces(_read(Path(file).expanduser()))
    if sum(map(len, texts)) < CHARACTERS:
        raise EngineError(
            "bad-calibration",
            f"{file} holds less than {CHARACTERS:,} characters: too little to calibrate with.",
            "Take a text of some hundred kilobytes that resembles what will be asked.",
        )
    return texts


def write_data_set(texts: list[str], folder: Path) -> Path:
    """The texts as a local data set with one column, `text`, as the library's own calibration reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps({"text": text}, ensure_ascii=False) for text in texts)
    (folder / "train.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


def _pieces(text: str) -> list[str]:
    whole = [text[at : at + CHARACTERS] for at in range(0, len(text), CHARACTERS)]
    step = max(1, len(whole) // TEXTS)  # spread over a long text, not its beginning
    return [piece for piece in whole[::step] if piece.strip()][:TEXTS]


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError as error:
        raise EngineError(
            "bad-calibration", f"The calibration text cannot be read: {error}.", "Name another file."
        ) from error
