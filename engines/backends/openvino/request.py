"""A request's settings and its answer, between our words and OpenVINO GenAI's."""

from __future__ import annotations

from typing import Any

import openvino_genai as genai

from engines.worker.protocol import Sampling


class GenerationRequest:
    """What a request has given so far."""

    def __init__(self) -> None:
        self.token_ids: list[int] = []
        self.reason = "stopped"
        """One of `engines.worker.protocol.FINISH_REASONS`; `stopped` until the library says otherwise."""

    def read(self, handle: Any) -> list[int]:
        """The tokens since the last read."""
        new: list[int] = []
        for output in read_outputs(handle):
            new += output.generated_ids
            if output.finish_reason == genai.GenerationFinishReason.STOP:
                self.reason = "stop"
            elif output.finish_reason == genai.GenerationFinishReason.LENGTH:
                self.reason = "length"
        self.token_ids += new
        return new


def read_outputs(handle: Any) -> list[Any]:
    """Every output that waits to be read."""
    outputs = []
    while handle.can_read():
        outputs += handle.read().values()  # empty for a request that was ignored
    return outputs


def generation_config(sampling: Sampling, eos_token_ids: frozenset[int]) -> Any:
    """The library's own words for how tokens are chosen and where the answer ends."""
    config = genai.GenerationConfig()
    config.max_new_tokens = sampling.max_tokens
    config.repetition_penalty = sampling.repetition_penalty
    # The library insists on an end token, also where it is to be ignored.
    config.set_eos_token_id(min(eos_token_ids, default=0))
    config.stop_token_ids = set(eos_token_ids) or {0}
    config.ignore_eos = sampling.ignore_eos or not eos_token_ids
    if sampling.temperature > 0:
        config.do_sample = True
        config.temperature, config.top_p = sampling.temperature, sampling.top_p
        config.min_p, config.rng_seed = sampling.min_p, sampling.seed % 2**63
        if sampling.top_k > 0:
            config.top_k = sampling.top_k
    return config
