"""What the tests compare: logits of both libraries and the divergence between them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engines.backends.openvino.backend import OpenVINOBackend
from engines.worker.protocol import Sampling

NOTHING_ENDS: frozenset[int] = frozenset()


def tokens(count: int, seed: int = 0, vocabulary: int = 384) -> list[int]:
    """Random token ids."""
    return [int(i) for i in np.random.default_rng(seed).integers(1, vocabulary, count)]


def answer(
    backend: OpenVINOBackend, prompt: Sequence[int], max_tokens: int = 24, **sampling: Any
) -> list[int]:
    """The tokens of an answer that nothing ends early."""
    seen: list[int] = []
    wanted = Sampling(max_tokens=max_tokens, ignore_eos=True, **sampling)
    backend.generate(prompt, wanted, NOTHING_ENDS, seen.extend, lambda: False)
    return seen


@torch.no_grad()
def reference_logits(model: Any, ids: Sequence[int]) -> torch.Tensor:
    """[tokens, vocabulary] in fp64."""
    return model(torch.tensor([list(ids)])).logits[0].double()


@torch.no_grad()
def reference_answer(model: Any, prompt: Sequence[int], max_tokens: int = 24) -> list[int]:
    """Greedy tokens that nothing ends early."""
    ids = list(prompt)
    for _ in range(max_tokens):
        ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt) :]


def compiled(directory: Path, hint: str, **properties: Any) -> Any:
    """The engine's own graph, compiled without paging: this path gives full logits."""
    import openvino as ov

    properties["INFERENCE_PRECISION_HINT"] = hint
    return ov.Core().compile_model(directory / "openvino_model.xml", "CPU", properties)


def engine_logits(model: Any, ids: Sequence[int]) -> torch.Tensor:
    """[tokens, vocabulary] in fp64."""
    inputs = {
        "input_ids": np.array([ids], np.int64),
        "attention_mask": np.ones((1, len(ids)), np.int64),
        "position_ids": np.arange(len(ids), dtype=np.int64)[None],
        "beam_idx": np.zeros(1, np.int32),
    }
    return torch.tensor(model.create_infer_request().infer(inputs)[0][0]).double()


def divergence(reference: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """KL divergence of each position, in nats."""
    p, q = reference.log_softmax(-1), other.log_softmax(-1)
    return (p.exp() * (p - q)).sum(-1)


def layer_types(model: Any) -> list[str]:
    """Types of the nodes that the CPU plugin runs."""
    return [str(node.get_rt_info()["layerType"].astype(str)) for node in model.get_runtime_model().get_ops()]
