"""Convert requests to OpenVINO GenAI's configuration, and read its outputs."""

from __future__ import annotations

from typing import Any

import openvino_genai as genai

from engines.worker.protocol import Sampling


class GenerationRequest:
    """The output of a request so far."""

    def __init__(self) -> None:
        self.token_ids: list[int] = []
        self.reason = "stopped"
        """One of `engines.worker.protocol.FINISH_REASONS`; `stopped` until the library reports one."""

    def read(self, handle: Any) -> list[int]:
        """Return the new tokens since the last read."""
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
    """Return all outputs that can be read now."""
    outputs = []
    while handle.can_read():
        outputs += handle.read().values()  # empty if the request was ignored
    return outputs


def generation_config(sampling: Sampling, eos_token_ids: frozenset[int]) -> Any:
    """Return the library's GenerationConfig for our sampling parameters."""
    config = genai.GenerationConfig()
    config.max_new_tokens = sampling.max_tokens
    config.repetition_penalty = sampling.repetition_penalty
    # The library requires an end-of-sequence token even if it is ignored.
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
