"""The files of an ONNX model in an engine's folder. Standard library only."""

from __future__ import annotations

GRAPH = "model.onnx"
DATA = "model.onnx.data"
