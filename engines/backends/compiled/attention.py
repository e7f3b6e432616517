"""Which of transformers' attention functions runs: one for prompts, one for single tokens on a GPU.

At one token attention is bound by memory. The plain form is left to Inductor, which fuses it into kernels
that read keys and values once and in parallel; SDPA with a mask would copy grouped heads and use one block
of the GPU for each head. Prompts, and the CPU, have SDPA.
"""

from __future__ import annotations

from typing import Any

from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask
from transformers.models.llama.modeling_llama import eager_attention_forward

NAME = "trt_playground"


def register() -> str:
    """Make the choice known to transformers; returns its name."""
    AttentionInterface.register(NAME, _attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    return NAME


def _attention(module: Any, query: Any, *arguments: Any, **options: Any) -> Any:
    one_token_on_gpu = query.shape[2] == 1 and query.device.type == "cuda"
    function = eager_attention_forward if one_token_on_gpu else sdpa_attention_forward
    return function(module, query, *arguments, **options)
