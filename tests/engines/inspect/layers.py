"""Files with layers as TensorRT writes them, for a network of two layers of a decoder."""

from __future__ import annotations

import json
from pathlib import Path

NETWORK = {
    "source": "network",
    "layers": [
        {"name": "embedding", "type": "GATHER", "precision": "HALF", "shape": [1, -1, 256], "fused": []},
        {
            "name": "layers.0/attention/query",
            "type": "MATRIX_MULTIPLY",
            "precision": "HALF",
            "shape": [1, -1, 256],
            "fused": [],
        },
        {"name": "layers.0/mlp/sigmoid", "type": "ACTIVATION", "precision": "HALF", "shape": [], "fused": []},
        {
            "name": "layers.0/mlp/silu",
            "type": "ELEMENTWISE",
            "precision": "HALF",
            "shape": [1, -1, 768],
            "fused": [],
        },
        {"name": "mask", "type": "ELEMENTWISE", "precision": "BOOL", "shape": [1, 1, -1, -1], "fused": []},
    ],
}
ENGINE = {
    "Layers": [
        {
            "Name": "layers.0/attention/query + layers.0/attention/key",
            "LayerType": "gemm",
            "Inputs": [{"Name": "norm", "Dimensions": [1, -1, 256], "Format/Datatype": "Half"}],
            "Outputs": [
                {"Name": "q", "Dimensions": [1, -1, 384], "Format/Datatype": "Row major linear FP16 format"}
            ],
            "Weights": {"Type": "Int8", "Count": 98304},
            "Bias": {"Type": "Half", "Count": 0},
        },
        {
            "Name": "__myl_SigmMul_0",
            "LayerType": "kgen",
            "Outputs": [{"Name": "silu", "Dimensions": [1, -1, 768], "Format/Datatype": "BFloat16"}],
            "Metadata": "[ONNX Layer: layers.0/mlp/sigmoid]\x1e[ONNX Layer: layers.0/mlp/silu]",
        },
        "{ForeignNode[layers.1/mlp/norm...layers.1/mlp/add]}",
        "[Fused] head",
        "mask",
    ],
    "Bindings": ["input_ids", "logits"],
}
TIMES = {
    "layers.0/attention/query + layers.0/attention/key": 41.5,
    "__myl_SigmMul_0": 3.25,
    "mask": 0.5,
    "Reformatting CopyNode": 1.0,
}


def write_layers(folder: Path, *, ran: bool = True) -> Path:
    """Write the files into a folder, those of a GPU only if `ran`, and return it."""
    (folder / "layers.json").write_text(json.dumps(NETWORK))
    if ran:
        (folder / "engine_layers.json").write_text(json.dumps(ENGINE))
        (folder / "layer_times.json").write_text(json.dumps(TIMES))
    return folder
