"""Models that TensorRT-LLM's LLM API supports, by their class name in transformers.

Source: https://nvidia.github.io/TensorRT-LLM/models/supported-models.html of 1.2 and later: the text models
of the PyTorch backend. Models that only its AutoDeploy backend runs are left out; it is not used here.
"""

_LISTED = """
AfmoeForCausalLM Cohere2ForCausalLM DeciLMForCausalLM DeepseekV3ForCausalLM DeepseekV32ForCausalLM
DeepseekV4ForCausalLM Exaone4ForCausalLM ExaoneMoEForCausalLM Gemma3ForCausalLM Glm4MoeForCausalLM
GlmMoeDsaForCausalLM GptOssForCausalLM LagunaForCausalLM LlamaForCausalLM MiniMaxM2ForCausalLM
MistralForCausalLM MixtralForCausalLM NemotronForCausalLM NemotronHForCausalLM NemotronNASForCausalLM
Phi3ForCausalLM Qwen2ForCausalLM Qwen3ForCausalLM Qwen3MoeForCausalLM Qwen3NextForCausalLM
Qwen3_5MoeForCausalLM
"""
_UNSUPPORTED = """
BloomForCausalLM FalconForCausalLM GPT2LMHeadModel GPTBigCodeForCausalLM GPTJForCausalLM GPTNeoForCausalLM
GPTNeoXForCausalLM MambaForCausalLM MptForCausalLM OPTForCausalLM PhiForCausalLM RwkvForCausalLM
"""
LISTED = frozenset(_LISTED.split())
UNSUPPORTED = frozenset(_UNSUPPORTED.split())
"""Families of the old engine builder, or of none: the LLM API fails with `Unknown architecture`."""
