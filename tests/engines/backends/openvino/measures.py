"""Logits of both libraries and the divergence between them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engines.backends.openvino.backend import OpenVINOBackend
from engines.worker.protocol import Sampling

NO_EOS: frozenset[int] = frozenset()


def tokens(count: int, seed: int = 0, vocabulary: int = 384) -> list[int]:
    """Return random token ids."""
    return [int(i) for i in np.random.default_rng(seed).integers(1, vocabulary, count)]


def answer(
    backend: OpenVINOBackend, prompt: Sequence[int], max_tokens: int = 24, **sampling: Any
) -> list[int]:
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
def reference_answer(model: Any, prompt: Sequence[int], max_tokens: int = 24) -> list[int]:
    """Return exactly `max_tokens` greedy tokens of transformers."""
    ids = list(prompt)
    for _ in range(max_tokens):
        ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt) :]


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


def divergence(reference: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return the KL divergence of each position, in nats."""
    p, q = reference.log_softmax(-1), other.log_softmax(-1)
    return (p.exp() * (p - q)).sum(-1)


def layer_types(model: Any) -> list[str]:
    """Return the types of the nodes that the CPU plugin executes."""
    return [str(node.get_rt_info()["layerType"].astype(str)) for node in model.get_runtime_model().get_ops()]
