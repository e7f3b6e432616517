"""Log-probabilities of a whole vocabulary, from an engine's own graph and weights.

OpenVINO GenAI returns the probability of the chosen token only. The graph has all logits, so it is compiled
here once more as the pipeline compiles it: with paged attention, and so with the KV cache's precision.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import openvino as ov

# What GenAI applies to a graph; it has no public name in Python. `test_scorer.py` compares the scores with
# the probabilities that the pipeline itself returns.
from openvino._offline_transformations import paged_attention_transformation

from engines.backends.base import Scores
from engines.backends.distribution import no_distribution
from engines.backends.openvino.pipeline import PREFILL_TOKENS, PipelineSettings
from engines.backends.openvino.saving import MODEL
from engines.backends.openvino.score_graph import score_graph
from engines.worker.checks import check_ids
from engines.worker.logprob_rows import RowReader, RowWriter


class Scorer:
    """An engine's graph, compiled for scoring."""

    def __init__(self, settings: PipelineSettings) -> None:
        self._vocabulary = settings.vocabulary
        core = ov.Core()
        model = core.read_model(settings.directory / MODEL)
        paged_attention_transformation(model)
        compiled = core.compile_model(model, "CPU", settings.properties)
        self._request = compiled.create_infer_request()
        self._caches = [one for one in compiled.inputs if "_cache." in one.get_any_name()]
        """Keys and values of each layer: [blocks, heads, tokens of a block, head size], without the first."""
        self._states = [one for one in compiled.inputs if "_state_table." in one.get_any_name()]
        """States of layers beside keys and values: [slots, ...], two for each sequence."""
        # Where it is quantised, scales are among the tokens of the keys, but never of the values.
        self._block_tokens = compiled.input("value_cache.0").partial_shape[2].get_length()
        self._blocks = 0
        """How many are allocated."""

    def score(
        self,
        token_ids: Sequence[int],
        top_k: int = 0,
        reference: RowReader | None = None,
        keep: RowWriter | None = None,
        step: int = PREFILL_TOKENS,
    ) -> Scores:
        """See `Backend.score`.

        Args:
            token_ids: of the text.
            top_k: see `Backend.score`, as the next two.
            reference: see there.
            keep: see there.
            step: tokens that are computed together.

        Raises:
            EngineError: `bad-tokens`, or `no-distribution`: the engine computes NaN.
        """
        check_ids(token_ids, self._vocabulary)
        scores = Scores([])
        graph = score_graph(compares=reference is not None)
        for logits in self._logits(token_ids[:-1], step):
            start, (positions, vocabulary) = len(scores.logprobs), logits.shape
            targets = token_ids[start + 1 : start + 1 + positions]
            base = reference.rows(start, start + positions, vocabulary) if reference else None
            part = graph(logits, targets, max(1, min(top_k, vocabulary)), base)
            if np.isnan(part.chosen).any():  # one NaN among the logits makes all log-probabilities NaN
                raise no_distribution()
            scores.logprobs.extend(part.chosen.tolist())
            if top_k:
                scores.top_ids.extend(part.top_ids.tolist())
                scores.top_logprobs.extend(part.top_logprobs.tolist())
                scores.ranks.extend(part.ranks.tolist())
            if reference:
                scores.kl.extend(np.maximum(part.kl, 0).tolist())
            if keep:
                keep.write(part.half)
        return scores

    def _logits(self, token_ids: Sequence[int], step: int) -> Iterator[Any]:
        """Yield the logits after each token, in parts of [positions, vocabulary] in float32."""
        self._allocate(len(token_ids))
        for turn, start in enumerate(range(0, len(token_ids), step)):
            part = np.array(token_ids[start : start + step], np.int64)
            stop = start + len(part)
            used = -(-stop // self._block_tokens)
            self._request.infer(
                {
                    "input_ids": part,
                    "position_ids": np.arange(start, stop, dtype=np.int64),
                    "max_context_len": np.array(stop, np.int32),
                    "past_lens": np.array([start], np.int32),
                    "subsequence_begins": np.array([0, len(part)], np.int32),
                    "block_indices": np.arange(used, dtype=np.int32),
                    "block_indices_begins": np.array([0, used], np.int32),
                    **self._slots(turn % 2, start),
                }
            )
            yield self._request.get_tensor("logits").data.reshape(len(part), -1)

    def _slots(self, read: int, past: int) -> dict[str, Any]:
        """Return the inputs that say which slot of the states is read; the other one is written."""
        if not self._states:
            return {}
        found = {
            "block_indices": [read, 1 - read],
            "block_indices_begins": [0, 2],
            "past_lens": [past],
            "cache_interval": [0],  # the state after the last token only
        }
        return {f"la.{name}": np.array(values, np.int32) for name, values in found.items()}

    def _allocate(self, tokens: int) -> None:
        """Make the KV cache large enough for a text. Its blocks are those of one sequence, in order."""
        for one in self._states:
            self._request.set_tensor(one, _zeros(one, 2))
        blocks = -(-tokens // self._block_tokens)
        if blocks <= self._blocks:
            return
        self._blocks = blocks
        for one in self._caches:
            self._request.set_tensor(one, _zeros(one, blocks))


def _zeros(table: Any, rows: int) -> ov.Tensor:
    """Return rows for an input. Not what the memory held: NaN would spread from masked positions."""
    sizes = [size.get_length() for size in list(table.partial_shape)[1:]]
    tensor = ov.Tensor(table.element_type, ov.Shape([rows, *sizes]))
    tensor.data[...] = 0
    return tensor
