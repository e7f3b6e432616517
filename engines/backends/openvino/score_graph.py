"""Log-probabilities, ranks and divergences from logits, computed by OpenVINO on all cores."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13

from engines.worker.logprob_rows import SMALLEST_ROW


@dataclass(frozen=True)
class PartScores:
    """The scores of some positions. All log-probabilities are natural."""

    chosen: Any
    """The log-probability of each target, [positions] in float32."""
    ranks: Any
    """The number of tokens that are more likely, [positions]."""
    top_ids: Any
    """The most likely ids, best first, [positions, top_k]."""
    top_logprobs: Any
    half: Any
    """All log-probabilities, [positions, vocabulary] in float16, none below its smallest number."""
    kl: Any = None
    """The divergence from the reference in nats, [positions]; None without a reference."""


class ScoreGraph:
    """A graph in float32, also for engines that compute in bf16.

    NumPy takes longer for these figures than a small engine for its logits, as it uses one core.
    """

    def __init__(self, *, compares: bool) -> None:
        """Compile the graph.

        Args:
            compares: whether it gets a reference's log-probabilities.
        """
        logits, targets = opset13.parameter([-1, -1], np.float32), opset13.parameter([-1, 1], np.int64)
        top_k = opset13.parameter([], np.int64)
        inputs = [logits, targets, top_k]
        logprobs = opset13.log_softmax(logits, 1)
        chosen = opset13.gather_elements(logprobs, targets, 1)
        above = opset13.convert(opset13.greater(logprobs, chosen), "i32")
        best = opset13.topk(logprobs, top_k, 1, "max", "value")
        bounded = opset13.maximum(logprobs, opset13.constant(np.float32(SMALLEST_ROW)))
        outputs = [
            opset13.squeeze(chosen, 1).output(0),
            opset13.reduce_sum(above, 1).output(0),
            best.output(1),
            best.output(0),
            opset13.convert(bounded, "f16").output(0),
        ]
        if compares:
            rows = opset13.parameter([-1, -1], np.float16)
            inputs.append(rows)
            base = opset13.log_softmax(opset13.convert(rows, "f32"), 1)
            terms = opset13.multiply(opset13.exp(base), opset13.subtract(base, bounded))
            outputs.append(opset13.reduce_sum(terms, 1).output(0))
        properties = {"INFERENCE_PRECISION_HINT": "f32"}
        model = ov.Model(outputs, inputs)
        self._outputs = len(outputs)
        self._request = ov.Core().compile_model(model, "CPU", properties).create_infer_request()

    def __call__(self, logits: Any, targets: Any, top_k: int, base: Any = None) -> PartScores:
        """Return the scores, whose arrays are overwritten by the next call.

        Args:
            logits: [positions, vocabulary] in float32.
            targets: the token of the text at each position, [positions].
            top_k: number of most likely ids, at least one.
            base: the reference's log-probabilities, [positions, vocabulary] in float16; they are normalised
                again. Only for a graph that compares.
        """
        targets = np.asarray(targets, np.int64)[:, None]
        given = [logits, targets, np.array(top_k, np.int64), *([] if base is None else [base])]
        self._request.infer(given, share_inputs=True)
        return PartScores(*(self._request.get_output_tensor(number).data for number in range(self._outputs)))


@cache
def score_graph(*, compares: bool) -> ScoreGraph:
    """Return the graph, which is compiled once: that takes 0.2 s."""
    return ScoreGraph(compares=compares)
