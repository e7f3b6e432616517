"""Read the position of each tensor of a checkpoint from the safetensors headers.

Files are untrusted input: sizes and offsets are checked before anything is read or mapped.
Format: https://github.com/huggingface/safetensors, section "Format".
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

from engines.errors import EngineError
from engines.plan.checkpoint.folder_files import refuse_lfs_pointer
from engines.plan.checkpoint.json_file import TooManyValues, broken, parse_json, read_json_object
from engines.plan.checkpoint.shape import read_shape
from engines.plan.checkpoint.text_part import is_wrapper, text_tensors
from engines.plan.random_shape import MARKER, random_seed, random_tensors
from engines.regular_file import read_start

DTYPE_BITS = {
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F4": 4,
    "I64": 64, "I32": 32, "I16": 16, "I8": 8, "U64": 64, "U32": 32, "U16": 16, "U8": 8, "BOOL": 8,
}  # fmt: skip
WHOLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
MAX_HEADER_BYTES = 100_000_000
"""The limit of the safetensors reference implementation."""
MAX_DIMENSIONS = 16
"""No tensor of a language model has more than five."""
MAX_FILE_NAME = 255
"""Bytes; the limit of all common file systems."""


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
        """Number of values."""
        return prod(self.shape)


def tensor_entries(folder: Path) -> dict[str, TensorEntry]:
    """Return every tensor of the checkpoint in `folder` by name; shards are merged.

    Of a checkpoint that also reads images only those of the text decoder, by the names of its own class.

    Raises:
        EngineError: there are no safetensors files, one is missing, or a header is broken.
    """
    if random_seed(folder) is not None:
        return _random_entries(folder)
    entries: dict[str, TensorEntry] = {}
    for file in weight_files(folder):
        entries |= _entries_of(file)
    config = folder / "config.json"
    if config.is_file() and is_wrapper(read_json_object(config)):
        return text_tensors(entries)
    return entries


def _random_entries(folder: Path) -> dict[str, TensorEntry]:
    """Return the entries of a shape with random weights, which has no weight files."""
    file = folder / "config.json"
    config = read_json_object(file)
    read_shape(config, file)  # refuses counts that could take minutes
    try:
        tensors = random_tensors(config)
    except (KeyError, TypeError, ZeroDivisionError) as error:
        raise broken(file, "broken-config", "it is not a shape that runs with random weights") from error
    marker = folder / MARKER
    return {name: TensorEntry(marker, "BF16", shape, 0, 2 * prod(shape)) for name, shape in tensors.items()}


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files of a checkpoint, by the rule of transformers.

    That is model.safetensors if there is one, else the files of its index. A shape with random weights has
    none.

    Raises:
        EngineError: there are none, the index is broken, or a file of the index is missing.
    """
    if random_seed(folder) is not None:
        return []
    names = _weight_names(folder)
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        is_link = (folder / missing[0]).is_symlink()
        what = f"{folder.name} lacks {missing[0]}"
        what += ", a link to a file that is missing" if is_link else ""
        raise EngineError(
            "missing-weights",
            what + (f", and {len(missing) - 1} more." if missing[1:] else "."),
            "Download the checkpoint again: it is incomplete.",
        )
    for name in names:
        refuse_lfs_pointer(folder / name, "missing-weights")
    return [folder / name for name in names]


def unused_weight_files(folder: Path) -> list[str]:
    """Return the names of safetensors files and of an index in `folder` that are not loaded."""
    used = {file.name for file in weight_files(folder)}
    if WHOLE not in used:
        used.add(INDEX)
    found = {file.name for pattern in ("*.safetensors", INDEX) for file in folder.glob(pattern)}
    return sorted(found - used)


def _weight_names(folder: Path) -> list[str]:
    whole, index = folder / WHOLE, folder / INDEX
    if whole.is_file() or (whole.is_symlink() and not index.is_file()):
        return [WHOLE]
    if index.is_file():
        refuse_lfs_pointer(index, "missing-weights")
        return _indexed_names(index)
    others = sorted(file.name for file in folder.glob("*.safetensors"))
    found = f"only {others[0]}, which transformers does not load" if others else "no .safetensors file"
    raise EngineError(
        "missing-weights",
        f"{folder.name} holds {found}.",
        f"It needs {WHOLE}, or shards with {INDEX}."
        if others
        else "Pickled weights (.bin, .pt) are not loaded: convert them to safetensors first.",
    )


def header_digest(file: Path) -> str:
    """Return the SHA-256 in hex of a safetensors header: names, types, shapes and offsets of the tensors.

    Raises:
        EngineError: the file cannot be read, or the header length exceeds the file.
    """
    return hashlib.sha256(_raw_header(file)).hexdigest()


def _indexed_names(index: Path) -> list[str]:
    weight_map = read_json_object(index, "broken-weights").get("weight_map")
    names = list(weight_map.values()) if isinstance(weight_map, dict) else []
    if not names:
        raise _broken(index, "its weight_map cannot be read")
    if not all(isinstance(name, str) and _is_plain_name(name) for name in names):
        raise _broken(index, "it names a file outside its folder")
    return sorted(set(names))


def _is_plain_name(name: str) -> bool:
    return (
        bool(name) and Path(name).name == name and name.isprintable() and len(name.encode()) <= MAX_FILE_NAME
    )


def _raw_header(file: Path) -> bytes:
    try:
        size = file.stat().st_size
        length = int.from_bytes(read_start(file, 8), "little")
        if 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
            return read_start(file, 8 + length)[8:]
    except OSError as error:
        raise _broken(file, f"it cannot be read ({error.strerror})") from error
    raise _broken(file, f"its header claims {length:,} bytes and the file has {size:,}")


def _entries_of(file: Path) -> dict[str, TensorEntry]:
    raw = _raw_header(file)
    size = file.stat().st_size
    try:
        header: dict[str, Any] = dict(parse_json(raw))  # type: ignore[call-overload]
        header.pop("__metadata__", None)
        entries = {name: _entry(file, name, value, 8 + len(raw), size) for name, value in header.items()}
    except TooManyValues as error:
        raise _broken(file, f"its header is not plausible: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _broken(file, "its header is not the JSON of a safetensors file") from error
    _refuse_overlaps(file, entries, 8 + len(raw), size)
    return entries


def _refuse_overlaps(file: Path, entries: dict[str, TensorEntry], start: int, file_size: int) -> None:
    """Refuse tensors that share bytes, and bytes of no tensor, as the reference implementation does.

    Args:
        start: first byte after the header.
    """
    stored = sorted((entry.offset, entry.size, name) for name, entry in entries.items() if entry.size)
    for (begin, size, name), (following, _, other) in pairwise(stored):
        if following < begin + size:
            raise _broken(file, f"its tensors {name[:80]!r} and {other[:80]!r} overlap")
    if start + sum(size for _, size, _ in stored) != file_size:
        raise _broken(file, "it holds bytes that belong to no tensor")


def _entry(file: Path, name: str, value: dict[str, list[int]], base: int, file_size: int) -> TensorEntry:
    begin, end = value["data_offsets"]
    dtype, shape = str(value["dtype"]), tuple(value["shape"])
    # bool is a subclass of int, and a product of unbounded numbers could take minutes.
    numbers = (begin, end, *shape)
    if len(shape) > MAX_DIMENSIONS or not all(type(n) is int and 0 <= n < 2**63 for n in numbers):
        raise _broken(file, f"{name[:80]!r} has no valid shape or place")
    if dtype not in DTYPE_BITS:
        raise _broken(file, f"{name[:80]!r} has the unknown type {dtype[:80]!r}")
    if end - begin != (prod(shape) * DTYPE_BITS[dtype] + 7) // 8 or base + end > file_size:
        raise _broken(file, f"{name[:80]!r} does not fit the file, which may be cut off")
    return TensorEntry(file, dtype, shape, base + begin, end - begin)


def _broken(file: Path, why: str) -> EngineError:
    return broken(file, "broken-weights", why)
