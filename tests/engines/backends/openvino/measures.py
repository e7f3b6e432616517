"""Logits of a graph in OpenVINO, without its pipeline, and the nodes it runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch


def compiled(directory: Path, hint: str, **properties: Any) -> Any:
    """Compile the engine's graph without paging, which returns all logits."""
    import openvino as ov

    properties["INFERENCE_PRECISION_HINT"] = hint
    return ov.Core().compile_model(directory / "openvino_model.xml", "CPU", properties)


def engine_logits(model: Any, ids: Sequence[int]) -> torch.Tensor:
    """Return the logits of a compiled graph, fp64 [tokens, vocabulary]."""
    inputs = {
        "input_ids": np.array([ids], np.int64),
        "attention_mask": np.ones((1, len(ids)), np.int64),
        "position_ids": np.arange(len(ids), dtype=np.int64)[None],
        "beam_idx": np.zeros(1, np.int32),
    }
    return torch.tensor(model.create_infer_request().infer(inputs)[0][0]).double()


def layer_types(model: Any) -> list[str]:
    """Return the types of the nodes that the CPU plugin executes."""
    return [str(node.get_rt_info()["layerType"].astype(str)) for node in model.get_runtime_model().get_ops()]
