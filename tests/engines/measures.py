"""Logits and answers of transformers and of an engine, and the divergence between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from engines.backends.base import Backend
from engines.worker.protocol import Sampling

NO_EOS: frozenset[int] = frozenset()


def tokens(count: int, seed: int = 0, vocabulary: int = 384) -> list[int]:
    """Return random token ids."""
    return [int(i) for i in np.random.default_rng(seed).integers(1, vocabulary, count)]


def answer(backend: Backend, prompt: Sequence[int], max_tokens: int = 24, **sampling: Any) -> list[int]:
    """Return the tokens of an answer of exactly `max_tokens`."""
    seen: list[int] = []
    wanted = Sampling(max_tokens=max_tokens, ignore_eos=True, **sampling)
    backend.generate(prompt, wanted, NO_EOS, seen.extend, lambda: False)
    return seen


@torch.no_grad()
def reference_logits(model: Any, ids: Sequence[int]) -> torch.Tensor:
    """Return transformers' logits, fp64 [tokens, vocabulary]."""
    return model(torch.tensor([list(ids)])).logits[0].double()


@torch.no_grad()
def reference_choices(model: Any, prompt: Sequence[int], given: Sequence[int]) -> list[int]:
    """Return transformers' most likely token after the prompt and after each token of `given` but the last.

    They are the tokens of `given` exactly if it is transformers' greedy answer: one forward pass tells.
    """
    ids = [*prompt, *given[:-1]]
    return [int(token) for token in reference_logits(model, ids)[len(prompt) - 1 :].argmax(-1)]


@torch.no_grad()
def reference_answer(model: Any, prompt: Sequence[int], max_tokens: int = 24) -> list[int]:
    """Return exactly `max_tokens` greedy tokens of transformers."""
    ids = list(prompt)
    for _ in range(max_tokens):
        ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt) :]


def divergence(reference: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return the KL divergence of each position, in nats."""
    p, q = reference.double().log_softmax(-1), other.double().log_softmax(-1)
    return (p.exp() * (p - q)).sum(-1)
