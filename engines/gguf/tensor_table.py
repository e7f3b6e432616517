"""Read the names, types, shapes and places of the tensors of a GGUF file, and check that they fit into it.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from math import prod
from typing import NamedTuple

from engines.gguf.byte_source import ByteSource
from engines.gguf.tensor_types import TENSOR_TYPES, TensorType

MAX_TENSORS = 100_000
"""The largest models have some thousand."""
MAX_NAME_BYTES = 63
"""llama.cpp cuts longer names, or refuses them."""
MAX_DIMENSIONS = 4
"""Of ggml."""
MAX_VALUES = 2**50
"""Values of one tensor: the largest ones have 2^34, and a product of sizes must not overflow."""
SMALLEST_ENTRY = 8 + 1 + 4 + 8 + 4 + 8
"""Bytes of a tensor in the table: name, number of sizes, sizes, type and place."""


class TensorInfo(NamedTuple):
    """One tensor."""

    type: TensorType
    shape: tuple[int, ...]
    """The size of a row first, as ggml counts."""
    offset: int
    """First byte in the file."""
    size: int
    """Bytes."""

    @property
    def elements(self) -> int:
        """Number of values."""
        return prod(self.shape)


def read_tensors(source: ByteSource, count: int, alignment: int) -> dict[str, TensorInfo]:
    """Return the tensors by name; `source` is at the first byte after the metadata.

    Raises:
        EngineError: the table is damaged, or a tensor lies outside of the file or over another one
            (`broken-weights`).
    """
    if count > MAX_TENSORS or count * SMALLEST_ENTRY > source.size - source.at:
        raise source.broken(f"it claims {count:,} tensors")
    found: dict[str, TensorInfo] = {}
    for _ in range(count):
        name, tensor = _read_tensor(source, alignment)
        if name in found:
            raise source.broken(f"it has two tensors named {name!a}")
        found[name] = tensor
    start = -(-source.at // alignment) * alignment
    placed = {name: one._replace(offset=start + one.offset) for name, one in found.items()}
    _refuse_outside(source, placed.items())
    return placed


def _read_tensor(source: ByteSource, alignment: int) -> tuple[str, TensorInfo]:
    """Return name and tensor; its offset is counted from the first tensor."""
    length = source.unsigned()
    if not 0 < length <= MAX_NAME_BYTES:
        raise source.broken(f"the name of a tensor has {length:,} bytes")
    try:
        name = source.take(length).decode("utf-8")
    except UnicodeDecodeError as error:
        raise source.broken("the name of a tensor is not UTF-8 text") from error
    dimensions = source.unsigned("I")
    if not 0 < dimensions <= MAX_DIMENSIONS:
        raise source.broken(f"the tensor {name!a} has {dimensions:,} dimensions")
    shape = tuple(source.unsigned() for _ in range(dimensions))
    number, offset = source.unsigned("I"), source.unsigned()
    stored = TENSOR_TYPES.get(number)
    if stored is None:
        raise source.broken(f"the tensor {name!a} has the type {number:,}, which llama.cpp does not have")
    # Each size is limited before the product is made of them.
    if not all(0 < size <= MAX_VALUES for size in shape) or prod(shape) > MAX_VALUES:
        raise source.broken(f"the tensor {name!a} has the shape {list(shape)}")
    if shape[0] % stored.block:
        raise source.broken(
            f"a row of the tensor {name!a} has {shape[0]:,} values, no blocks of {stored.block}"
        )
    if offset % alignment:
        raise source.broken(f"the tensor {name!a} begins at an address that is not aligned")
    return name, TensorInfo(stored, shape, offset, prod(shape) // stored.block * stored.block_bytes)


def _refuse_outside(source: ByteSource, tensors: Iterable[tuple[str, TensorInfo]]) -> None:
    in_order = sorted(tensors, key=lambda one: one[1].offset)
    for (name, one), (other, following) in pairwise(in_order):
        if following.offset < one.offset + one.size:
            raise source.broken(f"its tensors {name!a} and {other!a} overlap")
    if in_order:
        name, last = in_order[-1]
        if last.offset + last.size > source.size:
            raise source.broken(f"the tensor {name!a} does not fit the file, which may be cut off")
