"""Scales of activations for int8 products, calibrated by NVIDIA ModelOpt's ONNX quantisation.

ModelOpt quantises an fp32 graph on the CPU. Only the scales of the activations are taken from it: its own
graph keeps the KV cache in fp32, with conversions around it, which TensorRT does not update in place.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from engines.errors import EngineError, first_line
from engines.onnx.decoder_graph import GraphFormat, write_graph
from engines.onnx.folder import GRAPH
from engines.onnx.model_file import HEAD
from engines.plan.decoder.decoder import Decoder
from engines.weights.reader import WeightReader

KEPT = "/mlp/down"
"""End of the names of products whose input keeps 16 bits: what comes out of the gate has outliers. On the
demo checkpoint rounding it too raised the KL divergence from 0.02 to 0.13."""
SAMPLE_TOKENS = 128
"""Tokens of a sample at most; all have the length of the shortest."""


def activation_scales(
    decoder: Decoder, reader: WeightReader, samples: Sequence[Sequence[int]], folder: Path
) -> dict[str, float]:
    """Return the scale of the input of each product, by the name of its node in the graph.

    Args:
        samples: token ids of texts.
        folder: for temporary files of about twice the weights in fp32.

    Raises:
        EngineError: `no-modelopt`, or `calibration-failed` with ModelOpt's reason.
    """
    length = min(SAMPLE_TOKENS, *map(len, samples))
    with tempfile.TemporaryDirectory(dir=folder) as name:
        place = Path(name)
        write_graph(decoder, reader, place, GraphFormat("fp32", "fp32", length))
        quantised = place / "quantised.onnx"
        _quantise(place / GRAPH, quantised, _inputs(decoder, [one[:length] for one in samples], length))
        return _scales(onnx.load(quantised))


def _quantise(graph: Path, quantised: Path, inputs: dict[str, Any]) -> None:
    try:
        from modelopt.onnx.quantization import quantize
    except ImportError as error:
        raise EngineError(
            "no-modelopt",
            f"Calibration needs NVIDIA ModelOpt with its ONNX parts: {first_line(error)}.",
            'pip install "trt-playground[tensorrt-calibration]", or build without a calibration text.',
        ) from error
    try:
        quantize(
            str(graph),
            quantize_mode="int8",
            calibration_data=inputs,
            calibration_method="max",
            calibration_eps=["cpu"],
            output_path=str(quantised),
            use_external_data_format=True,
            high_precision_dtype="fp32",
            op_types_to_quantize=["MatMul"],
            nodes_to_exclude=[HEAD],
        )
    except Exception as error:  # ModelOpt's errors have no common class
        raise EngineError(
            "calibration-failed",
            f"ModelOpt cannot calibrate this model: {first_line(error)}.",
            "Build without a calibration text.",
        ) from error


def _inputs(decoder: Decoder, samples: Sequence[Sequence[int]], length: int) -> dict[str, Any]:
    """Return all samples one after the other along the first axis, as ModelOpt takes them apart again."""
    count, places = len(samples), np.arange(length)
    empty = np.zeros((count, decoder.kv_heads, length, decoder.head_dim), np.float32)
    return {
        "input_ids": np.array(samples, np.int64),
        "position_ids": np.tile(places, (count, 1)),
        "write_index": np.zeros(count, np.int64),
        "used": np.tile(places, count),
        "rows": np.tile(places, count),
    } | {f"past.{layer}.{part}": empty for layer in range(len(decoder.layers)) for part in ("key", "value")}


def _scales(model: Any) -> dict[str, float]:
    """Return the scale of the QuantizeLinear before each product."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    made_by = {output: node for node in model.graph.node for output in node.output}
    found = {}
    for node in model.graph.node:
        widened = made_by.get(node.input[0]) if node.op_type == "MatMul" else None
        if widened is not None and widened.op_type == "DequantizeLinear" and not node.name.endswith(KEPT):
            scale = numpy_helper.to_array(constants[widened.input[1]])
            found[node.name] = float(scale.reshape(-1)[0])
    return found
