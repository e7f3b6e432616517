"""Description and licence from a model card. The card is untrusted text and is only displayed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engines.regular_file import read_start

MAX_CARD_BYTES = 65_536
MAX_DESCRIPTION = 300
"""Characters."""


@dataclass(frozen=True)
class ModelCard:
    """The facts of a model card that the picker shows; empty where the card does not have them."""

    description: str = ""
    """The first paragraph of prose, at most MAX_DESCRIPTION characters, on one line."""
    licence: str = ""
    """The hub's licence identifier, such as `apache-2.0`."""


def read_model_card(folder: Path) -> ModelCard:
    """Return the card in README.md; an empty card if the file is missing or unreadable."""
    try:
        text = read_start(folder / "README.md", MAX_CARD_BYTES).decode("utf-8", "replace")
    except OSError:
        return ModelCard()
    lines = text.splitlines()
    body = _body_start(lines)
    return ModelCard(_first_paragraph(lines[body:]), _licence(lines[:body]))


def _body_start(lines: list[str]) -> int:
    """Return the index of the first line after the metadata block, which is enclosed in `---` lines."""
    if not lines or lines[0].strip() != "---":
        return 0
    return next((at + 1 for at, line in enumerate(lines[1:], 1) if line.strip() == "---"), 0)


def _licence(metadata: list[str]) -> str:
    for line in metadata:
        key, _, value = line.partition(":")
        if key == "license":
            return _plain(value.strip().strip("\"'"))[:80]
    return ""


def _first_paragraph(lines: list[str]) -> str:
    paragraph: list[str] = []
    for line in lines:
        text = line.strip()
        is_prose = bool(text) and not text.startswith(("#", "<", "!", "[", "|", "```", "---"))
        if is_prose:
            paragraph.append(text)
        elif paragraph:
            break
    return _plain(" ".join(paragraph))[:MAX_DESCRIPTION]


def _plain(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())
