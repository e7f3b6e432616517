"""Run the graph with ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnxruntime
import torch

from engines.backends.graph_backend import GraphRunner
from engines.errors import EngineError
from engines.onnx.folder import DATA, GRAPH
from engines.plan.decoder.decoder import Decoder
from engines.plan.hardware.hardware import usable_cores

CHUNK_TOKENS = 512
WARNINGS, ERRORS = 2, 3
"""Severities of ONNX Runtime."""
Type: TypeAlias = "tuple[str, tuple[int | str, ...]]"
"""The type of an input or output as ONNX Runtime calls it, and its shape."""


class OnnxRunner(GraphRunner):
    """A session on the CPU, with a KV cache that the graph updates in place.

    The same memory is bound as past and as present: otherwise ONNX Runtime copies the whole cache at each
    step, and warns.
    """

    def __init__(self, folder: Path, decoder: Decoder, capacity: int, severity: int = ERRORS) -> None:
        """Open the model in `folder`.

        Args:
            capacity: tokens of the KV cache.
            severity: what the library prints, WARNINGS or ERRORS.

        Raises:
            EngineError: `load-failed`: the files are damaged, or of another model.
        """
        super().__init__()
        options = onnxruntime.SessionOptions()
        # By default it counts the cores of the machine, also where fewer may be used.
        options.intra_op_num_threads = usable_cores()
        options.log_severity_level = severity
        model = str(folder / GRAPH)
        self._session = _explained(
            "load-failed",
            "ONNX Runtime cannot open the engine",
            lambda: onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"]),
        )
        if not _fits(self._session, decoder):
            raise EngineError(
                "load-failed",
                "The engine's graph does not fit the checkpoint: it was made from another one, or changed.",
                "Build the engine again.",
            )
        self.capacity, self.vocabulary, self.device = capacity, decoder.vocabulary, "cpu"
        self.chunk_tokens, self.weight_bytes = CHUNK_TOKENS, (folder / DATA).stat().st_size
        names = [value.name for value in self._session.get_inputs() if value.name.startswith("past.")]
        shape = (1, decoder.kv_heads, capacity, decoder.head_dim)
        self._cache = {name: torch.zeros(shape) for name in names}
        self.bytes_per_token = sum(tensor.nbytes for tensor in self._cache.values()) // capacity

    def compute(self, token_ids: Sequence[int], start: int, *, all_rows: bool) -> Any:
        """See `GraphRunner.compute`."""
        count = len(token_ids)
        rows = np.arange(count) if all_rows else np.array([count - 1])
        binding = self._session.io_binding()
        for name, values in {
            "input_ids": np.array([token_ids]),
            "position_ids": np.arange(start, start + count)[None],
            "write_index": np.array([start]),
            "used": np.arange(start + count),
            "rows": rows,
        }.items():
            binding.bind_cpu_input(name, values.astype(np.int64))
        for name, tensor in self._cache.items():
            place = ("cpu", 0, np.float32, tuple(tensor.shape), tensor.data_ptr())
            binding.bind_input(name, *place)
            binding.bind_output(name.replace("past.", "present."), *place)
        logits = torch.empty((1, len(rows), self.vocabulary))
        binding.bind_output("logits", "cpu", 0, np.float32, tuple(logits.shape), logits.data_ptr())
        _explained(
            "engine-failed",
            "ONNX Runtime cannot compute this step",
            lambda: self._session.run_with_iobinding(binding),
        )
        return logits[0]


def _fits(session: Any, decoder: Decoder) -> bool:
    """Return whether the graph has the inputs and outputs that `write_graph` gives this decoder."""
    integers, floats = "tensor(int64)", "tensor(float)"
    kv = (floats, (1, decoder.kv_heads, "C", decoder.head_dim))
    parts = [f"{index}.{part}" for index in range(len(decoder.layers)) for part in ("key", "value")]
    inputs: dict[str, Type] = {
        "input_ids": (integers, (1, "T")),
        "position_ids": (integers, (1, "T")),
        "write_index": (integers, (1,)),
        "used": (integers, ("S",)),
        "rows": (integers, ("R",)),
    }
    outputs: dict[str, Type] = {"logits": (floats, (1, "R", decoder.vocabulary))}
    inputs |= {f"past.{part}": kv for part in parts}
    outputs |= {f"present.{part}": kv for part in parts}
    return (_types(session.get_inputs()), _types(session.get_outputs())) == (inputs, outputs)


def _types(values: list[Any]) -> dict[str, Type]:
    return {value.name: (value.type, tuple(value.shape)) for value in values}


def _explained(code: str, what: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:  # the library's errors have no common class below Exception
        raise EngineError(code, f"{what}: {str(error)[:300]}", "Build the engine again.") from error
