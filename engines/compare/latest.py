"""The latest comparison of a checkpoint over a set of texts: what a screen shows before anything is measured.

It is written after every row, so that a process that is killed loses the row in progress at most. A row that
was measured with another reference, or over other token ids, stays with the reason why it is out of date.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from engines.build.rebuild_reason import changes
from engines.build.spec import EngineSpec
from engines.compare.cache import digest
from engines.compare.comparison import Comparison, Row
from engines.compare.noise import noise_floor
from engines.compare.rows import title
from engines.compare.text import Text

FORMAT = 2
"""2: see `engines.compare.cache.SCORE_FORMAT`."""
SHIPPED = "shipped"
"""Name of the texts that ship with the project, among the sets of texts."""


def file_set(file: Path) -> str:
    """Return the name of the set with one file."""
    return f"file {file.expanduser().resolve()}"


@dataclass(frozen=True)
class OlderRow:
    """A row that cannot be compared with the others any more."""

    row: Row
    why: str


@dataclass(frozen=True)
class Latest:
    """The rows of all comparisons with one reference over one set of texts."""

    comparison: Comparison
    """With every row that is up to date with its reference and texts."""
    texts: str
    """Digest of the texts as they were given."""
    older: tuple[OlderRow, ...] = ()
    format: int = FORMAT


def text_digest(texts: Sequence[Text]) -> str:
    """Return a digest of texts before they are tokenized."""
    return digest([[text.name, text.text, list(text.messages)] for text in texts])


def merged(before: Latest | None, comparison: Comparison, texts: str) -> Latest:
    """Return the newer comparison with the earlier rows that it does not replace.

    Args:
        texts: digest of the texts of the newer comparison.
    """
    if before is None:
        return Latest(comparison, texts)
    measured = {row.title for row in comparison.rows}
    older = [one for one in before.older if one.row.title not in measured]
    earlier = [row for row in before.comparison.rows if row.title not in measured]
    if why := _difference(before.comparison, comparison):
        older += [OlderRow(row, why) for row in earlier]
        earlier = []
    rows = (*earlier, *comparison.rows)
    floor = noise_floor(comparison.reference, rows, comparison.dtype)
    versions = before.comparison.versions | comparison.versions
    whole = replace(comparison, rows=rows, noise_floor=floor, versions=versions)
    return Latest(whole, texts, tuple(older))


def _difference(before: Comparison, now: Comparison) -> str:
    """Return why rows of one comparison cannot be compared with those of the other; empty if they can."""
    if before.texts != now.texts:  # the same texts may be cut at another context window
        return "other tokens of the texts were compared"
    old, new = before.reference, now.reference
    if (old.digest, old.kv_precision) == (new.digest, new.kv_precision):
        asked = [one.choices and len(one.choices.chosen) for one in (old, new)]
        return "" if asked[0] == asked[1] else "the questions changed"
    return f"the reference changed: {changes(old.inputs, new.inputs) or 'it was made again'}"


class LatestFile:
    """The file that keeps the latest comparison."""

    def __init__(self, path: Path, texts: str) -> None:
        self._path, self._texts = path, texts

    @classmethod
    def of(cls, folder: Path, reference: EngineSpec, text_set: str, texts: Sequence[Text]) -> LatestFile:
        """Return the file for a reference, which names the checkpoint, and a set of texts.

        Args:
            folder: of all comparisons.
            text_set: what names the set; its texts may change.
        """
        checkpoint = Path(reference.checkpoint).expanduser()
        place = str(checkpoint.resolve()) if checkpoint.exists() else reference.checkpoint
        name = digest(place, reference.revision, title(reference), text_set)
        return cls(folder / "latest" / f"{name}.json", text_digest(texts))

    def read(self) -> Latest | None:
        """Return what is kept; None without a file, or if it is damaged or of another release."""
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=Latest)
        except (OSError, ValueError, RecursionError):
            return None
        return found if found.format == FORMAT else None

    @property
    def texts(self) -> str:
        """Digest of the current texts."""
        return self._texts

    async def keep(self, comparison: Comparison) -> None:
        """Merge a comparison into the file, in a thread.

        Raises:
            OSError: it cannot be written.
        """
        await asyncio.to_thread(self._write, comparison)

    def _write(self, comparison: Comparison) -> None:
        latest = merged(self.read(), comparison, self._texts)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_suffix(f".{os.getpid()}.part")
        part.write_bytes(msgspec.json.encode(latest))
        part.replace(self._path)
