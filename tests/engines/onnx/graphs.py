"""Write graphs of tiny checkpoints, and run them in ONNX Runtime without the backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from engines.onnx.decoder_graph import GraphFormat, write_graph
from engines.onnx.folder import GRAPH
from engines.plan.checkpoint.tensors import tensor_entries
from engines.plan.decoder.decoder import read_decoder
from engines.weights.reader import WeightReader

WriteOnce = Callable[[Path, GraphFormat], Path]
FLOATS = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
CACHE_TOKENS = 256


def write(checkpoint: Path, folder: Path, form: GraphFormat) -> Path:
    """Write the graph of a checkpoint to `folder`, and return `folder`."""
    write_graph(read_decoder(checkpoint), WeightReader(tensor_entries(checkpoint)), folder, form)
    return folder


class Graph:
    """A graph in ONNX Runtime, with a cache of CACHE_TOKENS that is passed in and out as arrays."""

    def __init__(self, folder: Path, *, exact: bool = False) -> None:
        """Open it.

        Args:
            exact: whether products with quantised weights are computed in fp32. By default ONNX Runtime
                rounds their inputs to int8.
        """
        options = onnxruntime.SessionOptions()
        options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1" if exact else "4")
        options.log_severity_level = 3  # no warning that the cache is copied, which is intended here
        self._session = onnxruntime.InferenceSession(
            str(folder / GRAPH), options, providers=["CPUExecutionProvider"]
        )
        self._past = {
            value.name: np.zeros(
                [size if isinstance(size, int) else CACHE_TOKENS for size in value.shape], FLOATS[value.type]
            )
            for value in self._session.get_inputs()
            if value.name.startswith("past.")
        }

    def logits(self, ids: Sequence[int], start: int = 0, seen: int | None = None) -> torch.Tensor:
        """Compute `ids` at the places from `start` on; returns fp32 [tokens, vocabulary].

        Args:
            seen: tokens of the cache that attention sees; those up to the last one of `ids` if None.
        """
        count = len(ids)
        inputs = {
            "input_ids": np.array([list(ids)], np.int64),
            "position_ids": np.arange(start, start + count, dtype=np.int64)[None],
            "write_index": np.array([start], np.int64),
            "used": np.arange(seen or start + count, dtype=np.int64),
            "rows": np.arange(count, dtype=np.int64),
        }
        names = [name.replace("past.", "present.") for name in self._past]
        logits, *present = self._session.run(["logits", *names], inputs | self._past)
        self._past = dict(zip(self._past, present, strict=True))
        return torch.tensor(logits[0])

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        """Return the `count` most likely tokens after `prompt`, one step at a time."""
        answer = [int(self.logits(prompt)[-1].argmax())]
        while len(answer) < count:
            place = len(prompt) + len(answer) - 1
            answer.append(int(self.logits(answer[-1:], place)[-1].argmax()))
        return answer
