"""A GGUF model: one file, or the parts that llama.cpp splits a large one into.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from engines.errors import EngineError
from engines.gguf.header import Header, NotKept, Value, read_header
from engines.gguf.tensor_table import TensorInfo
from engines.plan.checkpoint.json_file import broken

SUFFIX = ".gguf"
MAX_PARTS = 1_000
"""Files of one model; the largest ones have some twenty."""
_PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class GgufModel:
    """The headers of all files of a model."""

    parts: tuple[Header, ...]
    """In order; the metadata are in the first one."""
    tensors: Mapping[str, TensorInfo]
    """Of all parts."""

    @property
    def file(self) -> Path:
        """The first file, by which llama.cpp opens the model."""
        return self.parts[0].file

    @property
    def metadata(self) -> Mapping[str, Value]:
        """The metadata of the model."""
        return self.parts[0].metadata

    def text(self, key: str) -> str:
        """Return a text of the metadata; empty where there is none."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else ""

    def items(self, key: str) -> list[object]:
        """Return an array of the metadata; empty where there is none, or where it was passed over."""
        value = self.metadata.get(key)
        return list(value) if isinstance(value, list) else []

    def count(self, key: str) -> int:
        """Return the number of elements of an array of the metadata."""
        value = self.metadata.get(key)
        return value.count if isinstance(value, NotKept) else len(value) if isinstance(value, list) else 0


def is_gguf(path: Path) -> bool:
    """Return whether a path names a GGUF file. Nothing is read."""
    return path.suffix.lower() == SUFFIX


def part_of(file: Path) -> tuple[str, int, int]:
    """Return the name without its ending, and which part of how many a file is by its name."""
    found = _PART.fullmatch(file.name)
    if found is None or not 0 < int(found["number"]) <= int(found["count"]):
        return file.stem, 1, 1
    return found["stem"], int(found["number"]), int(found["count"])


def first_part(file: Path) -> Path:
    """Return the file by which llama.cpp opens the model that `file` is a part of."""
    stem, number, count = part_of(file)
    return file if number == 1 else file.with_name(_part_name(stem, 1, count, file.suffix))


def part_files(file: Path) -> list[Path]:
    """Return the files of a model that are there, by the name of its first one. Nothing is read."""
    stem, _, count = part_of(file)
    if count == 1 or count > MAX_PARTS:
        return [file]
    parts = [file.with_name(_part_name(stem, one, count, file.suffix)) for one in range(1, count + 1)]
    return [one for one in parts if one.is_file()]


def read_model(file: Path, arrays: Collection[str] = ()) -> GgufModel:
    """Return the headers of a model.

    Args:
        file: any part of it.
        arrays: see `read_header`.

    Raises:
        EngineError: `broken-weights`, `unsupported-checkpoint`, or `missing-weights`: a part is not there.
    """
    file = first_part(file)
    first = read_header(file, arrays)
    count = first.metadata.get("split.count", 1) or 1
    if type(count) is not int or not 0 < count <= MAX_PARTS:
        raise broken(file, "broken-weights", f"it claims to be one of {str(count)[:40]} parts")
    others = _other_parts(file, count)
    parts = (first, *(read_header(one) for one in others))
    for number, part in enumerate(parts if count > 1 else ()):
        if (part.metadata.get("split.no"), part.metadata.get("split.count")) != (number, count):
            raise broken(part.file, "broken-weights", f"it is not part {number + 1} of {count} of its model")
    return GgufModel(parts, _merged(parts))


def _other_parts(file: Path, count: int) -> list[Path]:
    if count == 1:
        return []
    stem, number, named = part_of(file)
    if (number, named) != (1, count):
        hint = f"llama.cpp finds the others by the name: call it NAME-00001-of-{count:05d}{SUFFIX}."
        raise EngineError("missing-weights", f"{file.name} is one of {count} parts of a model.", hint)
    others = [file.with_name(_part_name(stem, one, count, file.suffix)) for one in range(2, count + 1)]
    missing = [one.name for one in others if not one.is_file()]
    if missing:
        more = f", and {len(missing) - 1} more." if len(missing) > 1 else "."
        message = f"The model {stem} lacks the file {missing[0]}{more}"
        raise EngineError("missing-weights", message, "Download all parts into one folder.")
    return others


def _merged(parts: tuple[Header, ...]) -> dict[str, TensorInfo]:
    tensors: dict[str, TensorInfo] = {}
    for part in parts:
        if twice := tensors.keys() & part.tensors.keys():
            raise broken(part.file, "broken-weights", f"it repeats the tensor {min(twice)!a} of another part")
        tensors |= part.tensors
    expected = parts[0].metadata.get("split.tensors.count", len(tensors))
    if len(parts) > 1 and expected != len(tensors):
        why = f"its parts hold {len(tensors):,} tensors, and it claims {str(expected)[:40]}"
        raise broken(parts[0].file, "broken-weights", why)
    return tensors


def _part_name(stem: str, number: int, count: int, suffix: str) -> str:
    return f"{stem}-{number:05d}-of-{count:05d}{suffix}"
