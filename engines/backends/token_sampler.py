"""Sample tokens on the device with transformers' logits processors, in the order of its `generate`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from engines.worker.protocol import Sampling


class TokenSampler:
    """Samples the tokens of one answer."""

    def __init__(self, sampling: Sampling, prompt: Sequence[int], device: Any) -> None:
        self._greedy = sampling.temperature <= 0
        self._processors = _processors(sampling)
        self._generator = torch.Generator(device).manual_seed(sampling.seed)
        self._penalises = sampling.repetition_penalty != 1.0
        size = len(prompt) + sampling.max_tokens if self._penalises else 0
        self._seen = torch.zeros((1, size), dtype=torch.long, device=device)
        """Prompt and answer so far, for the repetition penalty."""
        self._count = len(prompt)
        if self._penalises:
            self._seen[0, : len(prompt)] = torch.tensor(list(prompt), device=device)

    @property
    def is_argmax(self) -> bool:
        """Whether sampling is a plain argmax, which the compiled step computes already."""
        return self._greedy and not self._penalises

    def choose(self, logits: Any) -> Any:
        """Return the next token, a tensor [1, 1], from `logits` [1, vocabulary]."""
        scores = self._processors(self._seen[:, : self._count], logits.float())
        if self._greedy:
            token = scores.argmax(-1, keepdim=True)
        else:
            token = torch.multinomial(scores.softmax(-1), 1, generator=self._generator)
        if self._penalises and self._count < self._seen.shape[1]:
            self._seen[:, self._count] = token[0]
            self._count += 1
        return token


def _processors(sampling: Sampling) -> Any:
    processors = LogitsProcessorList()
    if sampling.repetition_penalty != 1.0:
        processors.append(RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty))
    if sampling.temperature <= 0:
        return processors
    if sampling.temperature != 1.0:
        processors.append(TemperatureLogitsWarper(sampling.temperature))
    if sampling.top_k:
        processors.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1.0:
        processors.append(TopPLogitsWarper(sampling.top_p))
    if sampling.min_p > 0:
        processors.append(MinPLogitsWarper(sampling.min_p))
    return processors
