"""Read the nodes of an ONNX graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any

from engines.inspect.data_types import BITS, INDICES, onnx_type
from engines.inspect.inspection import MAX_ROWS, ONNX, Listing, Row, short
from engines.onnx.folder import GRAPH
from engines.regular_file import read_regular

MAX_GRAPH_BYTES = 64_000_000
"""A graph of 100 layers has 2 MB: its constants are in another file."""
UNPACKING = frozenset({"DequantizeLinear", "Transpose", "Cast", "Reshape", "Identity"})
"""Nodes that only convert a constant: its bytes count at the node that computes with the result."""
_MAX_CONSTANTS = 16
"""Constants behind one value that are followed."""
_LARGEST = 1 << 60
_UNKNOWN_SIZE = "unk__"
"""Start of the names that the inference of shapes invents."""


def read_graph(folder: Path) -> Listing:
    """Return the nodes of `model.onnx`. The file with its constants is not read, and may be missing."""
    try:
        data = read_regular(folder / GRAPH, MAX_GRAPH_BYTES)
    except FileNotFoundError:
        return Listing(ONNX, GRAPH, exists=False)
    except OSError as error:
        return Listing(ONNX, GRAPH, problem=f"{GRAPH} cannot be read: {error.strerror}.")
    try:
        import onnx
    except ImportError:
        needed = "Reading it needs the package onnx: pip install onnx."
        return Listing(ONNX, GRAPH, problem=f"{GRAPH} was not read. {needed}")
    try:
        model = onnx.load_model_from_string(data)
    except Exception:  # protobuf's own exceptions; their texts tell users nothing
        return Listing(ONNX, GRAPH, problem=f"{GRAPH} is damaged: it is not an ONNX model.")
    if not model.graph.node:
        return Listing(ONNX, GRAPH, problem=f"{GRAPH} is damaged: it has no nodes.")
    try:
        return _Graph(_with_shapes(model)).listing()
    except UnicodeDecodeError:
        return Listing(ONNX, GRAPH, problem=f"{GRAPH} is damaged: its names cannot be read.")


def _with_shapes(model: Any) -> Any:
    """Return the model with the types and shapes of its values, where they can be inferred."""
    from onnx import shape_inference

    try:
        return shape_inference.infer_shapes(model)
    except Exception:  # of a graph that is not valid: its nodes are listed without shapes
        return model


@dataclass(frozen=True)
class _Constant:
    precision: str
    size: int
    """Bytes."""


class _Graph:
    def __init__(self, model: Any) -> None:
        self._model, self._graph = model, model.graph
        self._constants = dict(self._read_constants())
        self._values = {value.name: value for value in (*self._graph.value_info, *self._graph.output)}
        self._behind = {name: {name} for name in self._constants}
        """The constants that a constant value is made of, by its name."""

    def listing(self) -> Listing:
        rows = tuple(self._row(node) for node in islice(self._graph.node, MAX_ROWS))
        facts = {
            "opset": ", ".join(f"{one.domain} {one.version}".strip() for one in self._model.opset_import),
            "IR version": str(self._model.ir_version),
            "producer": f"{self._model.producer_name} {self._model.producer_version}".strip(),
        }
        return Listing(
            ONNX,
            GRAPH,
            rows,
            omitted=max(0, len(self._graph.node) - MAX_ROWS),
            weight_bytes=sum(one.size for one in self._constants.values()),
            facts={name: short(value) for name, value in facts.items() if value},
        )

    def _read_constants(self) -> Iterator[tuple[str, _Constant]]:
        for tensor in self._graph.initializer:
            yield tensor.name, _constant(tensor)
        for node in self._graph.node:
            if node.op_type == "Constant" and node.output:
                for attribute in node.attribute:
                    if attribute.name == "value":
                        yield node.output[0], _constant(attribute.t)

    def _row(self, node: Any) -> Row:
        read = {name: None for value in node.input for name in self._behind.get(value, ())}
        used = [self._constants[name] for name in read if self._constants[name].precision not in INDICES]
        largest = max(used, key=lambda one: one.size, default=None)
        unpacks = node.op_type in UNPACKING and all(value in self._behind for value in node.input if value)
        if unpacks:
            for value in node.output:
                self._behind[value] = set(islice(read, _MAX_CONSTANTS))
        output = node.output[0] if node.output else ""
        precision, shape = self._type(output)
        return Row(
            short(node.name or output),
            short(node.op_type),
            precision,
            largest.precision if largest else "",
            sum(one.size for one in used) if used and not unpacks else None,
            shape,
        )

    def _type(self, value: str) -> tuple[str, tuple[int | str, ...] | None]:
        """Return precision and shape of a value; empty and None where they are unknown."""
        found = self._values.get(value)
        if found is None or not found.type.HasField("tensor_type"):
            return "", None
        tensor = found.type.tensor_type
        sizes = tensor.shape.dim if tensor.HasField("shape") else None
        return _name_of(tensor.elem_type), None if sizes is None else tuple(_sizes(sizes))


def _sizes(sizes: Iterable[Any]) -> Iterator[int | str]:
    for size in islice(sizes, 16):
        if size.HasField("dim_value"):
            yield size.dim_value
        else:
            is_named = size.dim_param and not size.dim_param.startswith(_UNKNOWN_SIZE)
            yield short(size.dim_param) if is_named else "?"


def _constant(tensor: Any) -> _Constant:
    precision = _name_of(tensor.data_type)
    count = prod(max(0, size) for size in islice(tensor.dims, 16))
    return _Constant(precision, min(-(-count * BITS.get(precision, 8) // 8), _LARGEST))


def _name_of(data_type: int) -> str:
    from onnx import TensorProto

    try:
        return onnx_type(TensorProto.DataType.Name(data_type)) if data_type else ""
    except ValueError:
        return f"type {data_type}"
