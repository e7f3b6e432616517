"""Models that TensorRT-LLM's LLM API supports, by their class name in transformers, and since which release.

Source: https://nvidia.github.io/TensorRT-LLM/models/supported-models.html of several releases: the text
models of the PyTorch backend. Models that only its AutoDeploy backend runs are left out; it is not used here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Arrival:
    """When a model came. Releases between the two are unknown: there it is tried."""

    absent: str
    """The newest release whose list is known not to have it."""
    listed: str
    """The oldest release whose list is known to have it."""


_LISTED = """
DeciLMForCausalLM DeepseekV3ForCausalLM DeepseekV32ForCausalLM Exaone4ForCausalLM Gemma3ForCausalLM
Glm4MoeForCausalLM GptOssForCausalLM LlamaForCausalLM MistralForCausalLM MixtralForCausalLM
NemotronForCausalLM NemotronHForCausalLM NemotronNASForCausalLM Phi3ForCausalLM Qwen2ForCausalLM
Qwen3ForCausalLM Qwen3MoeForCausalLM Qwen3NextForCausalLM
"""
_UNSUPPORTED = """
BloomForCausalLM FalconForCausalLM GPT2LMHeadModel GPTBigCodeForCausalLM GPTJForCausalLM GPTNeoForCausalLM
GPTNeoXForCausalLM MambaForCausalLM MptForCausalLM OPTForCausalLM PhiForCausalLM RwkvForCausalLM
"""
ARRIVALS: dict[str, Arrival] = {
    "Cohere2ForCausalLM": Arrival("1.2.1", "1.3.0rc13"),
    "ExaoneMoEForCausalLM": Arrival("1.2.1", "1.3.0rc13"),
    "GlmMoeDsaForCausalLM": Arrival("1.2.1", "1.3.0rc13"),
    "AfmoeForCausalLM": Arrival("1.3.0rc15", "1.3.0rc20"),
    "DeepseekV4ForCausalLM": Arrival("1.2.1", "1.4.0rc1"),
    "LagunaForCausalLM": Arrival("1.3.0rc20", "1.4.0rc1"),
    "Qwen3_5MoeForCausalLM": Arrival("1.3.0rc20", "1.4.0rc1"),
}
"""Models that release 1.2.1 lacks."""
LISTED = frozenset(_LISTED.split())
"""Models of release 1.2.1 and later."""
UNSUPPORTED = frozenset(_UNSUPPORTED.split())
"""Families of the old engine builder, or of none: the LLM API fails with `Unknown architecture`."""
BLACKWELL_ONLY = frozenset({"DeepseekV4ForCausalLM"})
"""Models whose kernels need compute capability 10.0, by a footnote of the list."""
