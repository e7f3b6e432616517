"""The texts over which engines are compared: the set that ships with the project, or a file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from engines.text_file import read_text_file

FOLDER = Path(__file__).parent / "texts"
LARGEST_FILE = 10_000_000


@dataclass(frozen=True)
class Text:
    """A text, or a conversation that the checkpoint's chat template renders."""

    name: str
    text: str = ""
    messages: tuple[dict[str, str], ...] = ()
    """`{"role": ..., "content": ...}`; used instead of `text` where there are any."""


def shipped_texts() -> list[Text]:
    """Return prose, code and a chat, written for this project: about 1,000 tokens."""
    turns = tomllib.loads((FOLDER / "chat.toml").read_text("utf-8"))["turns"]
    messages = tuple(
        {"role": role, "content": turn[role]} for turn in turns for role in ("user", "assistant")
    )
    return [
        Text("prose", (FOLDER / "prose.md").read_text("utf-8")),
        Text("code", (FOLDER / "code.md").read_text("utf-8")),
        Text("chat", messages=messages),
    ]


def file_text(path: Path) -> Text:
    """Return the text of a file.

    Raises:
        TextFileError: it cannot be read, is not text, or is larger than LARGEST_FILE bytes.
    """
    return Text(path.name, read_text_file(str(path), LARGEST_FILE))
