"""Write an ONNX model: the graph in one file, its large constants in another one beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from engines.onnx.folder import DATA, GRAPH

OPSET = 24
"""The first one with TensorScatter."""
IR_VERSION = 11
HEAD = "head"
"""Name of the node that computes the logits."""
INLINE_BYTES = 1024
"""Smaller constants are stored in the graph itself."""
ALIGNMENT = 4096
"""Of each tensor in the data file, so that runtimes can map it into memory."""

Shape: TypeAlias = Sequence[int | str]
Array: TypeAlias = npt.NDArray[Any]


class ModelFile:
    """The nodes, constants, inputs and outputs of a model. A context manager: constants are written at once.

    Nodes are named after their place, such as `layers.0/attention/query`, and values after their node.
    """

    def __init__(self, folder: Path) -> None:
        """Create it for an existing folder."""
        self._folder = folder
        self._nodes: list[Any] = []
        self._constants: list[TensorProto] = []
        self._inputs: list[ValueInfoProto] = []
        self._outputs: list[ValueInfoProto] = []
        self._scope: list[str] = []
        self._taken: Counter[str] = Counter()
        self._integers: dict[tuple[int, ...], str] = {}

    def __enter__(self) -> ModelFile:
        self._data = (self._folder / DATA).open("wb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._data.close()

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Put `name/` before the names of the nodes that are added meanwhile."""
        self._scope.append(name)
        try:
            yield
        finally:
            self._scope.pop()

    def input(self, name: str, element: int, shape: Shape) -> str:
        """Add an input; `element` is a type of TensorProto, and a text in `shape` a size that may vary."""
        self._inputs.append(helper.make_tensor_value_info(name, element, shape))
        return name

    def output(self, name: str, element: int, shape: Shape) -> str:
        """Add an output: the value of a node with this name."""
        self._outputs.append(helper.make_tensor_value_info(name, element, shape))
        return name

    def path(self, name: str) -> str:
        """Return the name that the first node `name` of this scope gets."""
        return "/".join([*self._scope, name])

    def node(self, kind: str, *inputs: str, name: str = "", output: str = "", **attributes: Any) -> str:
        """Add a node with one output; returns the name of its value.

        Args:
            name: of the node, below the scope; its kind if empty.
            output: name of the value, if it must have a certain one.
        """
        return self.nodes(kind, *inputs, name=name, outputs=(output,), **attributes)[0]

    def nodes(
        self, kind: str, *inputs: str, name: str = "", outputs: Sequence[str] = ("",), **attributes: Any
    ) -> list[str]:
        """Add a node with several outputs; returns the names of its values."""
        placed = self._placed(name or kind.lower())
        values = [
            output or (placed if len(outputs) == 1 else f"{placed}.{place}")
            for place, output in enumerate(outputs)
        ]
        self._nodes.append(helper.make_node(kind, list(inputs), values, name=placed, **attributes))
        return values

    def constant(self, name: str, values: Array, element: int = 0, shape: Sequence[int] = ()) -> str:
        """Add a constant.

        Args:
            name: such as that of the tensor in the checkpoint.
            values: in the layout of the file.
            element: type of TensorProto; that of `values` if 0. Types of 4 bits are packed into bytes.
            shape: that of `values` if empty; needed for types of 4 bits.

        Raises:
            OSError: the disk is full.
        """
        found = TensorProto(
            name=self._unique(name), data_type=element or helper.np_dtype_to_tensor_dtype(values.dtype)
        )
        found.dims.extend(shape or values.shape)
        if values.nbytes < INLINE_BYTES:
            found.raw_data = values.tobytes()
        else:
            self._write(found, np.ascontiguousarray(values))
        self._constants.append(found)
        return str(found.name)

    def integers(self, *values: int) -> str:
        """Return a constant vector of int64, one for the same values."""
        if values not in self._integers:
            name = "integers/" + ",".join(map(str, values))
            self._integers[values] = self.constant(name, np.array(values, np.int64))
        return self._integers[values]

    def save(self, name: str) -> None:
        """Write the graph.

        Raises:
            OSError: the disk is full.
        """
        graph = helper.make_graph(self._nodes, name, self._inputs, self._outputs, self._constants)
        model: ModelProto = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="trt-playground",
        )
        self._data.flush()
        (self._folder / GRAPH).write_bytes(model.SerializeToString())

    def _write(self, tensor: TensorProto, values: Array) -> None:
        self._data.write(bytes(-self._data.tell() % ALIGNMENT))
        entries = {"location": DATA, "offset": self._data.tell(), "length": values.nbytes}
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in entries.items():
            tensor.external_data.add(key=key, value=str(value))
        self._data.write(values.data if values.dtype.isbuiltin == 1 else values.view(np.uint8).data)

    def _placed(self, name: str) -> str:
        return self._unique(self.path(name))

    def _unique(self, name: str) -> str:
        self._taken[name] += 1
        count = self._taken[name]
        return name if count == 1 else f"{name}_{count}"
