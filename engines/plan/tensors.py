"""Where each tensor of a checkpoint lies, from the safetensors headers alone.

Nothing in a file is trusted: sizes and offsets are checked before anything is read or mapped.
Format: https://github.com/huggingface/safetensors, section "Format".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path

from engines.errors import EngineError

DTYPE_BITS = {
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F4": 4,
    "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U64": 64, "U32": 32, "U16": 16, "U8": 8, "BOOL": 8,
}  # fmt: skip
MAX_HEADER_BYTES = 100_000_000
"""The limit of the reference implementation."""


@dataclass(frozen=True)
class TensorEntry:
    """One tensor on disk, row-major and little-endian."""

    file: Path
    dtype: str
    """A key of DTYPE_BITS."""
    shape: tuple[int, ...]
    offset: int
    """First byte in the file."""
    size: int
    """Bytes."""

    @property
    def elements(self) -> int:
        """Number of values, whatever their width."""
        return prod(self.shape)


def tensor_entries(folder: Path) -> dict[str, TensorEntry]:
    """Every tensor of the checkpoint in `folder`, by name; sharded checkpoints are joined.

    Raises:
        EngineError: there are no safetensors files, one is missing, or a header is broken.
    """
    entries: dict[str, TensorEntry] = {}
    for file in weight_files(folder):
        entries |= _entries_of(file)
    return entries


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a checkpoint: those its index names, or every one in the folder.

    Raises:
        EngineError: there are none, the index is broken, or a file that it names is missing.
    """
    index = folder / "model.safetensors.index.json"
    names = _indexed_names(index) if index.is_file() else sorted(p.name for p in folder.glob("*.safetensors"))
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise EngineError(
            "missing-weights",
            f"{folder.name} lacks {missing[0]}" + (f" and {len(missing) - 1} more." if missing[1:] else "."),
            "Download the checkpoint again: it is incomplete.",
        )
    if not names:
        raise EngineError(
            "missing-weights",
            f"{folder.name} holds no .safetensors file.",
            "Pickled weights (.bin, .pt) are not loaded: convert them to safetensors first.",
        )
    return [folder / name for name in names]


def _indexed_names(index: Path) -> list[str]:
    try:
        names = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _broken(index, "its weight_map cannot be read") from error
    if any(not isinstance(name, str) or Path(name).name != name for name in names):
        raise _broken(index, "it names a file outside its folder")
    return names


def _entries_of(file: Path) -> dict[str, TensorEntry]:
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
            raise _broken(file, f"its header claims {length:,} bytes and the file has {size:,}")
        raw = stream.read(length)
    try:
        header = json.loads(raw)
        header.pop("__metadata__", None)
        return {name: _entry(file, name, value, 8 + length, size) for name, value in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _broken(file, "its header is not the JSON of a safetensors file") from error


def _entry(file: Path, name: str, value: dict[str, object], base: int, file_size: int) -> TensorEntry:
    begin, end = value["data_offsets"]  # type: ignore[misc]
    dtype, shape = str(value["dtype"]), tuple(value["shape"])  # type: ignore[arg-type]
    if not all(isinstance(number, int) and number >= 0 for number in (begin, end, *shape)):
        raise _broken(file, f"{name} has no valid shape or place")
    if dtype not in DTYPE_BITS:
        raise _broken(file, f"{name} has the unknown type {dtype}")
    if end - begin != (prod(shape) * DTYPE_BITS[dtype] + 7) // 8 or base + end > file_size:
        raise _broken(file, f"{name} does not fit the file, which may be cut off")
    return TensorEntry(file, dtype, shape, base + begin, end - begin)


def _broken(file: Path, why: str) -> EngineError:
    return EngineError(
        "broken-weights", f"{file.name} is damaged: {why}.", "Download the checkpoint again, or copy it anew."
    )
