"""Read metadata and tensor table of one GGUF file, version 2 or 3, without its tensors.

A small reader of our own: GGUFReader of the package `gguf` maps the file with NumPy, believes each count and
length in it, and makes arrays for every token, before anything could be checked; transformers' reader too.

Files are untrusted input: every count, length and offset is checked against the size of the file and a limit
before memory is allocated for it. Standard library only, Python 3.10 and newer.
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engines.errors import EngineError
from engines.gguf.byte_source import MAX_HEADER_BYTES, ByteSource, byte_source
from engines.gguf.tensor_table import TensorInfo, read_tensors
from engines.plan.checkpoint.json_file import broken

MAGIC = b"GGUF"
OLDER_MAGICS = (b"ggml", b"lmgg", b"ggjt", b"tjgg", b"fmgg", b"ggmf", b"algg", b"ggla")
MAX_FIELDS = 10_000
"""Fields of metadata. The largest files have some hundred."""
MAX_KEY_BYTES = 65_535
"""By the format."""
MAX_ELEMENTS = 5_000_000
"""Elements of all arrays together: Gemma's tokenizer has 1.3 million. More would take seconds."""
MAX_TEXT_BYTES = 1_000_000
"""Longer texts are passed over, as a tokenizer.json of 33 MB in the metadata is; none is needed here."""
MAX_KEPT = 10_000
"""Elements of an array that is kept without having been asked for: one for each layer."""
_FORMS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _ARRAY = 8, 9

Plain = int | float | bool | str


@dataclass(frozen=True)
class NotKept:
    """A value that was checked and passed over."""

    count: int
    """Elements of an array, or bytes of a text."""


Value = Plain | list[Plain] | NotKept


@dataclass(frozen=True)
class Header:
    """What is in front of the tensors of one file."""

    file: Path
    size: int
    """Bytes of the file."""
    metadata: Mapping[str, Value] = field(repr=False)
    tensors: Mapping[str, TensorInfo] = field(repr=False)
    digest: str
    """SHA-256 of the header in hex: metadata, names, types, shapes and offsets."""


def read_header(file: Path, arrays: Collection[str] = ()) -> Header:
    """Return the header of a GGUF file.

    Args:
        arrays: keys of arrays of any length that are wanted, such as the tokens.

    Raises:
        EngineError: `broken-weights`; `unsupported-checkpoint`: of another version or byte order.
    """
    try:
        with byte_source(file) as source:
            tensor_count, field_count = _read_preamble(source)
            metadata = _read_metadata(source, field_count, arrays)
            tensors = read_tensors(source, tensor_count, _alignment(source, metadata))
            digest = hashlib.sha256(memoryview(source.data)[: source.at]).hexdigest()
            return Header(file, source.size, metadata, tensors, digest)
    except OSError as error:
        raise broken(file, "broken-weights", f"it cannot be read ({error.strerror})") from error


def _read_preamble(source: ByteSource) -> tuple[int, int]:
    """Return the number of tensors and of fields of metadata."""
    if source.size < len(MAGIC):
        raise source.broken("it is empty" if not source.size else "it is cut off in its header")
    magic = source.take(len(MAGIC))
    if magic in OLDER_MAGICS:
        raise _unsupported(source, "has a format that is older than GGUF, which llama.cpp no longer reads")
    if magic != MAGIC:
        raise source.broken("it does not begin as a GGUF file does")
    version = source.unsigned("I")
    if version and not version & 0xFFFF:
        raise _unsupported(source, "is a big-endian GGUF file")
    if version == 1:
        raise _unsupported(source, "is a GGUF file of version 1, which llama.cpp no longer reads")
    if version not in (2, 3):
        raise _unsupported(source, f"is a GGUF file of version {version:,}; versions 2 and 3 are read")
    tensors, fields = source.unsigned(), source.unsigned()
    if fields > MAX_FIELDS:
        raise source.broken(f"it claims {fields:,} fields of metadata, and at most {MAX_FIELDS:,} are read")
    return tensors, fields


def _unsupported(source: ByteSource, what: str) -> EngineError:
    hint = "Download a newer GGUF file of the model, or convert the original again with llama.cpp."
    return EngineError("unsupported-checkpoint", f"{source.file.name} {what}.", hint)


def _read_metadata(source: ByteSource, count: int, arrays: Collection[str]) -> dict[str, Value]:
    metadata: dict[str, Value] = {}
    elements = 0
    for _ in range(count):
        key = _read_key(source)
        if key in metadata:
            raise source.broken(f"it has two fields named {key[:80]!a}")
        value = _read_value(source, key, key in arrays, MAX_ELEMENTS - elements)
        if isinstance(value, list | NotKept):
            elements += value.count if isinstance(value, NotKept) else len(value)
        metadata[key] = value
    return metadata


def _read_key(source: ByteSource) -> str:
    length = source.unsigned()
    if not 0 < length <= MAX_KEY_BYTES:
        raise source.broken(f"the name of a field has {length:,} bytes")
    try:
        return source.take(length).decode("utf-8")
    except UnicodeDecodeError as error:
        raise source.broken("the name of a field is not UTF-8 text") from error


def _read_value(source: ByteSource, key: str, keep: bool, allowed: int) -> Value:
    kind = source.unsigned("I")
    if kind == _ARRAY:
        return _read_array(source, key, keep, allowed)
    if kind == _TEXT:
        return _read_text(source)
    if kind not in _FORMS:
        raise source.broken(f"the field {key[:80]!a} has the unknown type {kind}")
    return source.number(_FORMS[kind])


def _read_text(source: ByteSource) -> str | NotKept:
    length = source.unsigned()
    if length > MAX_TEXT_BYTES:
        _pass_over(source, length)
        return NotKept(length)
    return source.take(length).decode("utf-8", "replace")


def _pass_over(source: ByteSource, count: int) -> None:
    if count > MAX_HEADER_BYTES:
        raise source.broken(f"a value in its header claims {count:,} bytes")
    source.need(count)
    source.at += count


def _read_array(source: ByteSource, key: str, keep: bool, allowed: int) -> list[Plain] | NotKept:
    kind, count = source.unsigned("I"), source.unsigned()
    if kind == _ARRAY:
        raise source.broken(f"the field {key[:80]!a} is an array of arrays, which no model has")
    if kind != _TEXT and kind not in _FORMS:
        raise source.broken(f"the elements of {key[:80]!a} have the unknown type {kind}")
    width = 8 if kind == _TEXT else struct.calcsize(_FORMS[kind])
    if count > allowed or count * width > source.size - source.at:
        raise source.broken(f"the field {key[:80]!a} claims {count:,} elements")
    if kind == _TEXT:
        return _read_texts(source, count, keep or count <= MAX_KEPT)
    if not (keep or count <= MAX_KEPT):
        _pass_over(source, count * width)
        return NotKept(count)
    return list(struct.unpack(f"<{count}{_FORMS[kind]}", source.take(count * width)))


def _read_texts(source: ByteSource, count: int, keep: bool) -> list[Plain] | NotKept:
    """Return the texts of an array; a loop without calls, since there are up to a million of them."""
    found: list[Plain] = []
    data, length_of, at = source.data, struct.Struct("<Q").unpack_from, source.at
    for _ in range(count):
        if at + 8 > len(data):
            source.at = at
            source.need(8)
        (length,) = length_of(data, at)
        at += 8
        if at + length > len(data):
            source.at = at
            source.need(length)
        at += length
        if keep:
            found.append(data[at - length : at].decode("utf-8", "replace"))
    source.at = at
    return found if keep else NotKept(count)


def _alignment(source: ByteSource, metadata: Mapping[str, Value]) -> int:
    value = metadata.get("general.alignment", 32)
    if type(value) is not int or not 0 < value <= 1 << 20 or value & (value - 1):
        raise source.broken(f"its alignment is {str(value)[:40]}, not a power of two")
    return value
