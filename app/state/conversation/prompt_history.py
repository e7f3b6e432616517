"""The prompts that were sent, oldest first, as they are walked through, and kept across runs."""

from __future__ import annotations

from pathlib import Path

import msgspec

from app.state.settings.atomic_file import write_atomic

KEPT = 500
"""How many prompts are kept, the newest."""


class _Line(msgspec.Struct):
    prompt: str


_LINE: msgspec.json.Decoder[_Line] = msgspec.json.Decoder(_Line)


class PromptHistory:
    """Prompts, and the text that is being written below them."""

    def __init__(self) -> None:
        self._prompts: list[str] = []
        self._at = 0
        """The prompt that is shown; their number while none is."""
        self._unsent = ""

    def load(self, prompts: list[str]) -> None:
        """Put those of earlier runs before what was sent meanwhile."""
        self._prompts = prompts + self._prompts
        self._at += len(prompts)

    def add(self, prompt: str) -> None:
        """A prompt was sent; the walk ends."""
        if prompt and self._prompts[-1:] != [prompt]:
            self._prompts.append(prompt)
            del self._prompts[:-KEPT]
        self.leave()

    def leave(self) -> None:
        """End the walk."""
        self._at, self._unsent = len(self._prompts), ""

    def walk(self, step: int, text: str) -> str | None:
        """The prompt before (-1) or after (+1) the one shown; None where there is none.

        Below the newest stands what was being written, which is `text` when the walk begins.
        """
        if not 0 <= self._at + step <= len(self._prompts):
            return None
        if self._at == len(self._prompts):
            self._unsent = text
        self._at += step
        return self._prompts[self._at] if self._at < len(self._prompts) else self._unsent


def read_prompts(path: Path) -> list[str]:
    """The prompts of earlier runs; lines that cannot be read are left out.

    Raises:
        OSError: the file is there and cannot be read.
    """
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            found.append(_LINE.decode(line).prompt)
        except ValueError:  # msgspec's errors are ValueErrors
            continue
    return found[-KEPT:]


def keep_prompt(path: Path, prompt: str) -> None:
    """Add a prompt to the file: to what is there now, for another app may have added to it.

    Raises:
        OSError: the file cannot be written.
    """
    prompts = read_prompts(path)
    if prompt and prompts[-1:] != [prompt]:
        lines = [msgspec.json.encode(_Line(one)) for one in [*prompts, prompt][-KEPT:]]
        write_atomic(path, b"\n".join(lines) + b"\n")
