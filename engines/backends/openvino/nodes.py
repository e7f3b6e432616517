"""Constants and small parts of OpenVINO graphs."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from openvino import opset15 as op

Node: TypeAlias = Any
"""A node of the graph: the Python API of OpenVINO has no type hints for it."""

END = np.iinfo(np.int64).max
"""The end of a slice that goes to the end of its axis."""


def integers(*values: int) -> Node:
    """Return a constant of 64-bit integers, [values]."""
    return op.constant(np.array(values, np.int64))


def integer(value: int) -> Node:
    """Return a constant of one 64-bit integer, []."""
    return op.constant(np.int64(value))


def number(value: float) -> Node:
    """Return a constant of one 32-bit float, []."""
    return op.constant(np.float32(value))
