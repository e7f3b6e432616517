"""Divide a model among ranks: each has a part of every layer, and the sums of the parts are exchanged.

The plan is that of transformers (`base_model_tp_plan` of a config): the outputs of `colwise` products and
the inputs of `rowwise` ones are divided (Megatron-LM, https://arxiv.org/abs/1909.08053). A rank then has a
part of the attention heads and of their KV cache. The LM head is divided by its outputs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed._functional_collectives as collectives

from engines.backends.compiled.split.rank import Rank
from engines.backends.compiled.split.sums import group_name, shared_memory, sum_of_ranks
from engines.errors import EngineError

REPLICATED = ("replicated_with_grad_allreduce",)
"""Plans of modules that each rank has as a whole, such as the norms of queries and keys."""


def split_model(model: Any, rank: Rank) -> None:
    """Keep only this rank's part of each layer and of the LM head; products of parts are joined by `join`.

    Raises:
        EngineError: `uneven-split`: transformers has no plan for the model, or a size cannot be divided.
    """
    for module, how in _planned(model):
        if how not in ("colwise", "rowwise"):
            raise _refusal(f"a product that transformers splits as {how!r}")
        dimension = 0 if how == "colwise" else 1
        _divide(module, dimension, rank)
    head = model.get_output_embeddings()
    if head.weight is model.get_input_embeddings().weight:
        model.config.tie_word_embeddings = False
    _divide(head, 0, rank)


def join_parts(model: Any, device: str) -> None:
    """Add up what the ranks compute of each `rowwise` product; called after quantising replaced modules.

    Args:
        device: where the model is going to be.
    """
    memory = shared_memory(model.config.hidden_size, model.dtype, device)
    for module, how in _planned(model):
        if how == "rowwise":
            module.sum_memory = memory
            module.register_forward_hook(_add_up)


def gather_outputs(part: Any) -> Any:
    """Return the outputs of all ranks, [..., outputs], from this one's."""
    gathered = collectives.all_gather_tensor(part.contiguous(), part.ndim - 1, group_name())
    return collectives.wait_tensor(gathered)


def _add_up(module: Any, _arguments: Any, output: Any) -> Any:
    return sum_of_ranks(output, module.sum_memory)


def _planned(model: Any) -> Iterator[tuple[Any, str]]:
    """Yield each module of the decoder that the plan names, and how it is divided.

    Fused projections take the place of `colwise` ones; they have no weights and are left out.
    """
    plan = getattr(model.config, "base_model_tp_plan", None)
    if not plan:
        raise _refusal("no plan in transformers")
    patterns = [(re.compile(re.escape(name).replace(r"\*", r"\d+")), how) for name, how in plan.items()]
    for name, module in model.base_model.named_modules():
        for pattern, how in patterns:
            if how not in REPLICATED and pattern.fullmatch(name):
                yield module, how


def _divide(module: Any, dimension: int, rank: Rank) -> None:
    if not isinstance(module, torch.nn.Linear):
        raise _refusal(f"a product of the class {type(module).__name__}")
    size = module.weight.shape[dimension]
    if size % rank.count:
        raise EngineError(
            "uneven-split",
            f"A product of {size} rows or columns cannot be divided evenly among {rank.count} GPUs.",
            "Choose another number of GPUs.",
        )
    module.weight = torch.nn.Parameter(rank.part(module.weight.detach(), dimension), requires_grad=False)
    if dimension == 0:
        module.out_features = size // rank.count
    else:
        module.in_features = size // rank.count
    if module.bias is None:
        return
    bias = module.bias.detach()
    if dimension == 0:
        bias = rank.part(bias, 0)
    elif rank.index:  # the sum has it once
        bias = torch.zeros_like(bias)
    module.bias = torch.nn.Parameter(bias, requires_grad=False)


def _refusal(what: str) -> EngineError:
    return EngineError(
        "uneven-split", f"This model cannot be split over several GPUs: {what}.", "Choose one GPU."
    )
