"""Which models TensorRT-LLM's LLM API has, by their class in transformers.

Source: https://nvidia.github.io/TensorRT-LLM/models/supported-models.html, of 1.2 and later, the text models
of the PyTorch backend. Those that only its AutoDeploy backend runs, which is not used here, are left out.
"""

_LISTED = """
AfmoeForCausalLM Cohere2ForCausalLM DeciLMForCausalLM DeepseekV3ForCausalLM DeepseekV32ForCausalLM
DeepseekV4ForCausalLM Exaone4ForCausalLM ExaoneMoEForCausalLM Gemma3ForCausalLM Glm4MoeForCausalLM
GlmMoeDsaForCausalLM GptOssForCausalLM LagunaForCausalLM LlamaForCausalLM MiniMaxM2ForCausalLM
MistralForCausalLM MixtralForCausalLM NemotronForCausalLM NemotronHForCausalLM NemotronNASForCausalLM
Phi3ForCausalLM Qwen2ForCausalLM Qwen3ForCausalLM Qwen3MoeForCausalLM Qwen3NextForCausalLM
Qwen3_5MoeForCausalLM
"""
_LACKING = """
BloomForCausalLM FalconForCausalLM GPT2LMHeadModel GPTBigCodeForCausalLM GPTJForCausalLM GPTNeoForCausalLM
GPTNeoXForCausalLM MambaForCausalLM MptForCausalLM OPTForCausalLM PhiForCausalLM RwkvForCausalLM
"""
LISTED = frozenset(_LISTED.split())
LACKING = frozenset(_LACKING.split())
"""Families of the engine builder of old, or of none: the LLM API answers `Unknown architecture`."""
