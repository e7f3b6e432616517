"""The config.json of each family, in the structure that the hub has it, scaled down.

Hidden size 128, 4 to 6 layers, the vocabulary of the demo's tokenizer and windows of 32 tokens. A field that
the first checkpoints of a family left out, such as `layer_types`, is left out here too.
"""

from __future__ import annotations

from typing import Any

Config = dict[str, Any]
_SIZES: Config = {
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 4096,
    "max_position_embeddings": 2048,
    "bos_token_id": 1,
    "eos_token_id": 5,
    "pad_token_id": 0,
    "tie_word_embeddings": False,
}
_SIX: Config = {"num_hidden_layers": 6}
_GPT_SIZES: Config = {
    "vocab_size": 4096,
    "n_embd": 128,
    "n_layer": 4,
    "n_head": 4,
    "bos_token_id": 1,
    "eos_token_id": 5,
}
_EXPERTS: Config = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 64}
_LLAMA3_ROPE: Config = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 512,
}
_LONG_ROPE: Config = {
    "type": "longrope",
    "short_factor": [1.0 + 0.05 * i for i in range(16)],
    "long_factor": [1.0 + 0.5 * i for i in range(16)],
}
_MLA: Config = {
    "q_lora_rank": 48,
    "kv_lora_rank": 32,
    "qk_rope_head_dim": 16,
    "qk_nope_head_dim": 32,
    "v_head_dim": 32,
    "num_key_value_heads": 4,
}
_SIGLIP: Config = {
    "model_type": "siglip_vision_model",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 56,
    "patch_size": 14,
    "vision_use_head": False,
}
_PIXTRAL: Config = {
    "model_type": "pixtral",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "head_dim": 32,
    "image_size": 56,
    "patch_size": 14,
    "hidden_act": "silu",
    "rope_theta": 10000.0,
}
_TOKEN_IDS: Config = {"bos_token_id": 1, "eos_token_id": 5, "pad_token_id": 0}


REMOVED = object()
"""Removes a field of the usual sizes."""


def _family(architecture: str, model_type: str, *parts: Config, **fields: Any) -> Config:
    """Return a config of the usual sizes with the fields of `parts` and `fields`."""
    found: Config = {"architectures": [architecture], "model_type": model_type, **_SIZES}
    for part in (*parts, fields):
        found |= part
    return {name: value for name, value in found.items() if value is not REMOVED}


def _part(model_type: str, *parts: Config, **fields: Any) -> Config:
    """Return a `text_config` of a wrapper, which names no architecture."""
    found = _family("", model_type, *parts, **fields)
    del found["architectures"]
    return found


_LLAMA = {
    "llama2-7b": _family("LlamaForCausalLM", "llama", num_key_value_heads=4, rms_norm_eps=1e-5),
    "tinyllama": _family("LlamaForCausalLM", "llama", rms_norm_eps=1e-5, rope_theta=10000.0),
    "llama3-8b": _family("LlamaForCausalLM", "llama", rms_norm_eps=1e-5, rope_theta=500000.0),
    "llama3.1-8b": _family("LlamaForCausalLM", "llama", rope_theta=500000.0, rope_scaling=_LLAMA3_ROPE),
    "llama3.2-1b": _family(
        "LlamaForCausalLM", "llama", rope_theta=500000.0, rope_scaling=_LLAMA3_ROPE | {"factor": 32.0},
        tie_word_embeddings=True, head_dim=32,
    ),
    "yi1.5": _family("LlamaForCausalLM", "llama", rope_theta=5000000.0),
    "smollm2": _family(
        "LlamaForCausalLM", "llama", hidden_size=96, num_attention_heads=3, num_key_value_heads=1,
        tie_word_embeddings=True, rope_theta=100000,
    ),
    "falcon3": _family("LlamaForCausalLM", "llama", head_dim=64, rope_theta=1000042),
    "vicuna-16k": _family(
        "LlamaForCausalLM", "llama", num_key_value_heads=4, rope_scaling={"type": "linear", "factor": 4.0}
    ),
    "llama-nemotron-nano-4b": _family(
        "LlamaForCausalLM", "llama", head_dim=32, num_attention_heads=2, num_key_value_heads=1,
        rope_scaling=_LLAMA3_ROPE, rope_theta=500000.0,
    ),
    "smollm3": _family(
        "SmolLM3ForCausalLM", "smollm3", no_rope_layers=[1, 1, 1, 0], no_rope_layer_interval=4,
        tie_word_embeddings=True, rope_theta=5000000.0, use_sliding_window=False, sliding_window=None,
    ),
    "arcee": _family("ArceeForCausalLM", "arcee", hidden_act="relu2"),
    "apertus": _family("ApertusForCausalLM", "apertus", hidden_act="xielu", qk_norm=True),
    "helium": _family("HeliumForCausalLM", "helium", head_dim=32),
    "seed-oss": _family("SeedOssForCausalLM", "seed_oss", head_dim=32, attention_bias=True),
    "nemotron-mini": _family(
        "NemotronForCausalLM", "nemotron", hidden_act="relu2", partial_rotary_factor=0.5, norm_eps=1e-5
    ),
    "internlm3": _family("InternLM3ForCausalLM", "internlm3", head_dim=32, qkv_bias=False, bias=False),
    "hunyuan-dense": _family(
        "HunYuanDenseV1ForCausalLM", "hunyuan_v1_dense", head_dim=32, tie_word_embeddings=True,
        rope_scaling={"type": "dynamic", "alpha": 1000.0, "factor": 1.0},
    ),
    "ernie4.5-0.3b": _family("Ernie4_5ForCausalLM", "ernie4_5", tie_word_embeddings=True, use_bias=False),
}  # fmt: skip

_MISTRAL = {
    "mistral-7b-v0.1": _family("MistralForCausalLM", "mistral", sliding_window=32),
    "mistral-7b-v0.3": _family("MistralForCausalLM", "mistral", sliding_window=None, rope_theta=1000000.0),
    "mistral-nemo": _family("MistralForCausalLM", "mistral", sliding_window=None, head_dim=48),
    "ministral-8b-2410": _family("MistralForCausalLM", "mistral", sliding_window=32768, head_dim=32),
    "mixtral": _family(
        "MixtralForCausalLM", "mixtral", num_local_experts=4, num_experts_per_tok=2, sliding_window=None
    ),
    "ministral3-text": _family(
        "Ministral3ForCausalLM", "ministral3", head_dim=32, sliding_window=None, tie_word_embeddings=True,
        rope_parameters={
            "rope_type": "yarn", "type": "yarn", "rope_theta": 1000000.0, "factor": 4.0, "beta_fast": 32.0,
            "beta_slow": 1.0, "mscale": 1.0, "mscale_all_dim": 1.0, "llama_4_scaling_beta": 0.1,
            "original_max_position_embeddings": 512,
        },
    ),
    "ministral3": {
        "architectures": ["Mistral3ForConditionalGeneration"],
        "model_type": "mistral3",
        "image_token_index": 10,
        "multimodal_projector_bias": False,
        "projector_hidden_act": "gelu",
        "spatial_merge_size": 2,
        "vision_feature_layer": -1,
        "tie_word_embeddings": False,
        "text_config": _part(
            "ministral3", head_dim=32, sliding_window=None, tie_word_embeddings=True,
            rope_parameters={
                "rope_type": "yarn", "type": "yarn", "rope_theta": 1000000.0, "factor": 4.0,
                "beta_fast": 32.0, "beta_slow": 1.0, "mscale": 1.0, "mscale_all_dim": 1.0,
                "llama_4_scaling_beta": 0.1, "original_max_position_embeddings": 512,
            },
        ),
        "vision_config": _PIXTRAL,
    },
    "mistral-small-3.1": {
        "architectures": ["Mistral3ForConditionalGeneration"],
        "model_type": "mistral3",
        "image_token_index": 10,
        "multimodal_projector_bias": False,
        "projector_hidden_act": "gelu",
        "spatial_merge_size": 2,
        "vision_feature_layer": -1,
        "text_config": _part("mistral", head_dim=32, sliding_window=None, rope_theta=1000000000.0),
        "vision_config": _PIXTRAL,
    },
}  # fmt: skip

_QWEN_LINEAR: Config = {
    "head_dim": 32,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 32,
    "linear_value_head_dim": 32,
    "linear_conv_kernel_dim": 4,
}
_QWEN35_TEXT: Config = _QWEN_LINEAR | {
    "attn_output_gate": True,
    "full_attention_interval": 4,
    "layer_types": ["linear_attention", "linear_attention", "linear_attention", "full_attention"],
    "rope_parameters": {
        "rope_type": "default", "rope_theta": 10000000, "partial_rotary_factor": 0.25,
        "mrope_interleaved": True, "mrope_section": [2, 1, 1],
    },
    "tie_word_embeddings": True,
}  # fmt: skip
_QWEN35_VISION: Config = {
    "model_type": "qwen3_5",
    "depth": 2,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_heads": 2,
    "out_hidden_size": 128,
    "patch_size": 16,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "num_position_embeddings": 64,
    "deepstack_visual_indexes": [],
}
_QWEN = {
    "qwen2": _family("Qwen2ForCausalLM", "qwen2", use_sliding_window=False, sliding_window=32),
    "qwen2.5": _family(
        "Qwen2ForCausalLM", "qwen2", use_sliding_window=False, sliding_window=32, max_window_layers=2,
        tie_word_embeddings=True, rope_theta=1000000.0,
    ),
    "qwen2.5-sliding": _family(
        "Qwen2ForCausalLM", "qwen2", use_sliding_window=True, sliding_window=32, max_window_layers=2
    ),
    "r1-distill-qwen": _family(
        "Qwen2ForCausalLM", "qwen2", use_sliding_window=False, sliding_window=4096, rope_theta=10000.0
    ),
    "qwen2.5-yarn": _family(
        "Qwen2ForCausalLM", "qwen2", use_sliding_window=False, sliding_window=32, rope_theta=1000000.0,
        rope_scaling={"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512},
    ),
    "qwen3": _family(
        "Qwen3ForCausalLM", "qwen3", head_dim=32, tie_word_embeddings=True, use_sliding_window=False,
        sliding_window=None,
    ),
    "r1-0528-qwen3-8b": _family(
        "Qwen3ForCausalLM", "qwen3", head_dim=32, use_sliding_window=False, sliding_window=None,
        rope_scaling={"rope_type": "yarn", "factor": 4.0, "attn_factor": 0.8782488562869419,
                      "original_max_position_embeddings": 512},
    ),
    "qwen2-moe": _family(
        "Qwen2MoeForCausalLM", "qwen2_moe", _EXPERTS, shared_expert_intermediate_size=64,
        use_sliding_window=False, sliding_window=32, decoder_sparse_step=1,
    ),
    "qwen3-moe": _family(
        "Qwen3MoeForCausalLM", "qwen3_moe", _EXPERTS, head_dim=32, use_sliding_window=False,
        sliding_window=None, norm_topk_prob=True, decoder_sparse_step=1, mlp_only_layers=[],
    ),
    "qwen3-next": _family(
        "Qwen3NextForCausalLM", "qwen3_next", _QWEN_LINEAR, _EXPERTS, shared_expert_intermediate_size=64,
        partial_rotary_factor=0.25, full_attention_interval=4, decoder_sparse_step=1, mlp_only_layers=[],
    ),
    "qwen3.5-text": _family("Qwen3_5ForCausalLM", "qwen3_5_text", _QWEN35_TEXT),
    "qwen3.5": {
        "architectures": ["Qwen3_5ForConditionalGeneration"],
        "model_type": "qwen3_5",
        "image_token_id": 10,
        "video_token_id": 11,
        "vision_start_token_id": 12,
        "vision_end_token_id": 13,
        "tie_word_embeddings": True,
        "text_config": _part("qwen3_5_text", _QWEN35_TEXT),
        "vision_config": _QWEN35_VISION,
    },
    "qwen3.5-moe": {
        "architectures": ["Qwen3_5MoeForConditionalGeneration"],
        "model_type": "qwen3_5_moe",
        "image_token_id": 10,
        "video_token_id": 11,
        "vision_start_token_id": 12,
        "vision_end_token_id": 13,
        "text_config": _part(
            "qwen3_5_moe_text", _QWEN35_TEXT, _EXPERTS, shared_expert_intermediate_size=64,
            tie_word_embeddings=False, intermediate_size=REMOVED,
        ),
        "vision_config": _QWEN35_VISION | {"model_type": "qwen3_5_moe"},
    },
    "qwen3-vl": {
        "architectures": ["Qwen3VLForConditionalGeneration"],
        "model_type": "qwen3_vl",
        "image_token_id": 10,
        "video_token_id": 11,
        "vision_start_token_id": 12,
        "vision_end_token_id": 13,
        "tie_word_embeddings": True,
        "text_config": _part(
            "qwen3_vl_text", head_dim=32, tie_word_embeddings=True, rope_theta=5000000,
            rope_scaling={"mrope_interleaved": True, "mrope_section": [8, 4, 4], "rope_type": "default"},
        ),
        "vision_config": _QWEN35_VISION | {"model_type": "qwen3_vl", "deepstack_visual_indexes": [0, 1]},
    },
}  # fmt: skip

_SOFT_CAPS: Config = {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0}
_GEMMA3N_TEXT: Config = {
    **_SIX,
    "head_dim": 32,
    "sliding_window": 32,
    "layer_types": ["sliding_attention", "sliding_attention", "full_attention"] * 2,
    "num_kv_shared_layers": 3,
    "intermediate_size": [256] * 6,
    "activation_sparsity_pattern": [0.95, 0.95, 0.0, 0.0, 0.0, 0.0],
    "hidden_size_per_layer_input": 16,
    "vocab_size_per_layer_input": 4096,
    "altup_num_inputs": 4,
    "altup_active_idx": 0,
    "laurel_rank": 16,
    "final_logit_softcapping": 30.0,
    "tie_word_embeddings": True,
}
_GEMMA4_TEXT: Config = {
    **_SIX,
    "head_dim": 32,
    "global_head_dim": 64,
    "sliding_window": 32,
    "layer_types": ["sliding_attention", "sliding_attention", "full_attention"] * 2,
    "num_kv_shared_layers": 3,
    "num_global_key_value_heads": 1,
    "hidden_size_per_layer_input": 16,
    "vocab_size_per_layer_input": 4096,
    "final_logit_softcapping": 30.0,
    "use_double_wide_mlp": True,
    "tie_word_embeddings": True,
    "hidden_activation": "gelu_pytorch_tanh",
    "rope_parameters": {
        "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
        "full_attention": {
            "rope_type": "proportional", "rope_theta": 1000000.0, "partial_rotary_factor": 0.25,
        },
    },
}  # fmt: skip
_GEMMA4_VISION: Config = {
    "model_type": "gemma4_vision",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "patch_size": 16,
    "position_embedding_size": 64,
}
_GEMMA = {
    "gemma": _family(
        "GemmaForCausalLM", "gemma", head_dim=64, num_key_value_heads=1, tie_word_embeddings=True,
        hidden_act="gelu_pytorch_tanh",
    ),
    "gemma2": _family(
        "Gemma2ForCausalLM", "gemma2", _SOFT_CAPS, head_dim=48, sliding_window=32, tie_word_embeddings=True,
        query_pre_attn_scalar=40, hidden_activation="gelu_pytorch_tanh",
    ),
    "gemma3-text": _family(
        "Gemma3ForCausalLM", "gemma3_text", _SIX, head_dim=48, sliding_window=32, tie_word_embeddings=True,
        layer_types=["sliding_attention"] * 5 + ["full_attention"], query_pre_attn_scalar=40,
        rope_theta=1000000, rope_local_base_freq=10000,
    ),
    "gemma3-text-pattern": _family(
        "Gemma3ForCausalLM", "gemma3_text", _SIX, head_dim=48, sliding_window=32, sliding_window_pattern=3,
        tie_word_embeddings=True, query_pre_attn_scalar=40, rope_theta=1000000, rope_local_base_freq=10000,
    ),
    "gemma3": {
        "architectures": ["Gemma3ForConditionalGeneration"],
        "model_type": "gemma3",
        "boi_token_index": 11,
        "eoi_token_index": 12,
        "image_token_index": 10,
        "mm_tokens_per_image": 4,
        "eos_token_id": [5],
        "text_config": {
            "model_type": "gemma3_text",
            "hidden_size": 128,
            "intermediate_size": 256,
            "num_hidden_layers": 6,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 32,
            "vocab_size": 4096,
            "sliding_window": 32,
            "query_pre_attn_scalar": 16,
            "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
            "max_position_embeddings": 2048,
        },
        "vision_config": _SIGLIP,
    },
    "gemma3n-text": _family("Gemma3nForCausalLM", "gemma3n_text", _GEMMA3N_TEXT),
    "gemma4-text": _family("Gemma4ForCausalLM", "gemma4_text", _GEMMA4_TEXT),
    "gemma4": {
        "architectures": ["Gemma4ForConditionalGeneration"],
        "model_type": "gemma4",
        "image_token_id": 10,
        "boi_token_id": 11,
        "eoi_token_id": 12,
        "audio_config": None,
        "tie_word_embeddings": True,
        "text_config": _part("gemma4_text", _GEMMA4_TEXT),
        "vision_config": _GEMMA4_VISION,
        "vision_soft_tokens_per_image": 4,
    },
}  # fmt: skip

_PHI = {
    "phi2": _family(
        "PhiForCausalLM", "phi", num_key_value_heads=4, partial_rotary_factor=0.4, hidden_act="gelu_new"
    ),
    "phi3-mini-4k": _family("Phi3ForCausalLM", "phi3", num_key_value_heads=4, sliding_window=2047),
    "phi3.5-mini": _family(
        "Phi3ForCausalLM", "phi3", num_key_value_heads=4, sliding_window=262144, rope_scaling=_LONG_ROPE,
        original_max_position_embeddings=512,
    ),
    "phi4-mini": _family(
        "Phi3ForCausalLM", "phi3", partial_rotary_factor=0.75, tie_word_embeddings=True,
        sliding_window=262144, original_max_position_embeddings=512,
        rope_scaling=_LONG_ROPE | {key: _LONG_ROPE[key][:12] for key in ("short_factor", "long_factor")},
    ),
    "phi4": _family("Phi3ForCausalLM", "phi3", sliding_window=None, rope_theta=250000),
    "phi3.5-moe": _family(
        "PhimoeForCausalLM", "phimoe", num_local_experts=4, num_experts_per_tok=2, sliding_window=2047,
        attention_bias=True, lm_head_bias=True,
    ),
}  # fmt: skip

_MULTIPLIERS: Config = {
    "embedding_multiplier": 12.0,
    "residual_multiplier": 0.22,
    "attention_multiplier": 0.0625,
    "logits_scaling": 8.0,
    "tie_word_embeddings": True,
}
_MAMBA2: Config = {
    "mamba_n_heads": 8,
    "mamba_d_head": 32,
    "mamba_d_state": 16,
    "mamba_d_conv": 4,
    "mamba_expand": 2,
    "mamba_n_groups": 1,
    "mamba_chunk_size": 16,
}
_HYBRID = {
    "granite3": _family("GraniteForCausalLM", "granite", _MULTIPLIERS),
    "granite3-moe": _family(
        "GraniteMoeForCausalLM", "granitemoe", _MULTIPLIERS, num_local_experts=8, num_experts_per_tok=2
    ),
    "granite4-micro": _family(
        "GraniteMoeHybridForCausalLM", "granitemoehybrid", _MULTIPLIERS, layer_types=["attention"] * 4,
        num_local_experts=0, num_experts_per_tok=0, shared_intermediate_size=256,
        position_embedding_type="rope", rope_theta=10000000,
    ),
    "granite4-h": _family(
        "GraniteMoeHybridForCausalLM", "granitemoehybrid", _MULTIPLIERS, _MAMBA2,
        layer_types=["mamba", "mamba", "attention", "mamba"], num_local_experts=4, num_experts_per_tok=2,
        shared_intermediate_size=128, position_embedding_type="nope",
    ),
    "nemotron-h": _family(
        "NemotronHForCausalLM", "nemotron_h", hybrid_override_pattern="M-M*M-", num_hidden_layers=6,
        head_dim=32, mamba_num_heads=8, mamba_head_dim=32, ssm_state_size=16, n_groups=2, conv_kernel=4,
        chunk_size=16, mlp_hidden_act="relu2",
    ),
    "lfm2": _family(
        "Lfm2ForCausalLM", "lfm2", num_hidden_layers=6, conv_L_cache=3, conv_bias=False,
        layer_types=["conv", "conv", "full_attention", "conv", "full_attention", "conv"],
        block_auto_adjust_ff_dim=False, tie_word_embeddings=True, norm_eps=1e-5,
    ),
    "lfm2-350m": _family(  # the first ones named the attention layers by number
        "Lfm2ForCausalLM", "lfm2", num_hidden_layers=6, conv_L_cache=3, conv_bias=False,
        full_attn_idxs=[2, 4], block_auto_adjust_ff_dim=True, block_ff_dim=256, block_multiple_of=32,
        block_ffn_dim_multiplier=1.0, tie_embedding=True, norm_eps=1e-5,
    ),
    "lfm2-moe": _family(
        "Lfm2MoeForCausalLM", "lfm2_moe", _EXPERTS, conv_L_cache=3, num_dense_layers=1,
        layer_types=["conv", "conv", "full_attention", "conv"],
    ),
    "falcon-h1": _family(
        "FalconH1ForCausalLM", "falcon_h1", _MAMBA2, mamba_d_ssm=256, head_dim=32, mamba_rms_norm=False
    ),
    "bamba": _family("BambaForCausalLM", "bamba", _MAMBA2, attn_layer_indices=[2]),
    "jamba": _family(
        "JambaForCausalLM", "jamba", attn_layer_period=4, attn_layer_offset=2, expert_layer_period=2,
        expert_layer_offset=1, num_experts=4, num_experts_per_tok=2, mamba_d_state=16, mamba_d_conv=4,
        mamba_expand=2, mamba_dt_rank=8, use_mamba_kernels=False,
    ),
    "mamba": {
        "architectures": ["MambaForCausalLM"], "model_type": "mamba", "hidden_size": 128,
        "intermediate_size": 256, "num_hidden_layers": 4, "vocab_size": 4096, "state_size": 16,
        "conv_kernel": 4, "expand": 2, "time_step_rank": 8, **_TOKEN_IDS,
    },
    "recurrentgemma": _family(
        "RecurrentGemmaForCausalLM", "recurrent_gemma", _SIX, num_key_value_heads=1, head_dim=32,
        attention_window_size=32, lru_width=128, conv1d_width=4, tie_word_embeddings=True,
        block_types=["recurrent", "recurrent", "attention"],
    ),
    "olmo-hybrid": _family(
        "OlmoHybridForCausalLM", "olmo_hybrid", linear_num_key_heads=4, linear_num_value_heads=4,
        linear_key_head_dim=24, linear_value_head_dim=48, linear_conv_kernel_dim=4, num_key_value_heads=4,
        layer_types=["linear_attention", "linear_attention", "linear_attention", "full_attention"],
    ),
    "minimax-text": _family(
        "MiniMaxForCausalLM", "minimax", num_local_experts=4, num_experts_per_tok=2, head_dim=32,
        layer_types=["linear_attention", "linear_attention", "linear_attention", "full_attention"],
        block_size=16,
    ),
}  # fmt: skip

_DEEPSEEK_EXPERTS: Config = {
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 64,
    "n_shared_experts": 1,
    "first_k_dense_replace": 1,
    "n_group": 2,
    "topk_group": 1,
    "routed_scaling_factor": 1.0,
}
_OTHERS = {
    "olmo": _family("OlmoForCausalLM", "olmo", num_key_value_heads=4, clip_qkv=None),
    "olmo2": _family("Olmo2ForCausalLM", "olmo2", num_key_value_heads=4, rope_theta=500000),
    "olmo3": _family(
        "Olmo3ForCausalLM", "olmo3", num_key_value_heads=4, sliding_window=32,
        layer_types=["sliding_attention"] * 3 + ["full_attention"], rope_theta=500000,
        rope_scaling={"rope_type": "yarn", "factor": 8.0, "attention_factor": 1.2079441541679836,
                      "beta_fast": 32.0, "beta_slow": 1.0, "original_max_position_embeddings": 256},
    ),
    "olmoe": _family("OlmoeForCausalLM", "olmoe", num_experts=8, num_experts_per_tok=2),
    "gpt-oss": _family(
        "GptOssForCausalLM", "gpt_oss", head_dim=32, num_local_experts=4, num_experts_per_tok=2,
        sliding_window=32, layer_types=["sliding_attention", "full_attention"] * 2, attention_bias=True,
        swiglu_limit=7.0, rope_theta=150000,
        rope_scaling={"rope_type": "yarn", "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0,
                      "truncate": False, "original_max_position_embeddings": 64},
    ),
    "gpt2": {
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_ctx": 2048, "n_positions": 2048,
        "activation_function": "gelu_new", **_GPT_SIZES,
    },
    "glm4": _family(
        "Glm4ForCausalLM", "glm4", head_dim=32, partial_rotary_factor=0.5, attention_bias=True
    ),
    "glm4-9b-chat": _family(
        "GlmForCausalLM", "glm", head_dim=32, partial_rotary_factor=0.5, attention_bias=True
    ),
    "glm4.5-air": _family(
        "Glm4MoeForCausalLM", "glm4_moe", _DEEPSEEK_EXPERTS, head_dim=32, partial_rotary_factor=0.5,
        attention_bias=True, use_qk_norm=True, norm_topk_prob=True,
    ),
    "falcon-7b": {
        "architectures": ["FalconForCausalLM"], "model_type": "falcon", "hidden_size": 128,
        "num_hidden_layers": 4, "num_attention_heads": 4, "vocab_size": 4096, "multi_query": True,
        "new_decoder_architecture": False, "parallel_attn": True, "alibi": False, "bias": False,
        "bos_token_id": 1, "eos_token_id": 5,
    },
    "falcon-40b": {
        "architectures": ["FalconForCausalLM"], "model_type": "falcon", "hidden_size": 128,
        "num_hidden_layers": 4, "num_attention_heads": 4, "num_kv_heads": 2, "vocab_size": 4096,
        "new_decoder_architecture": True, "parallel_attn": True, "alibi": False, "bias": False,
        "bos_token_id": 1, "eos_token_id": 5,
    },
    "deepseek-v2-lite": _family(
        "DeepseekV2ForCausalLM", "deepseek_v2", _MLA, _DEEPSEEK_EXPERTS, q_lora_rank=None,
        topk_method="greedy",
    ),
    "deepseek-v3": _family("DeepseekV3ForCausalLM", "deepseek_v3", _MLA, _DEEPSEEK_EXPERTS),
    "minicpm3": _family(
        "MiniCPM3ForCausalLM", "minicpm3", _MLA, scale_emb=12, scale_depth=1.4, dim_model_base=64
    ),
    "llama4-text": _family(
        "Llama4ForCausalLM", "llama4_text", head_dim=32, intermediate_size_mlp=256, intermediate_size=128,
        num_local_experts=4, num_experts_per_tok=1, interleave_moe_layer_step=2, no_rope_layers=[1, 1, 1, 0],
        attention_chunk_size=32, rope_theta=500000.0, use_qk_norm=True, attn_temperature_tuning=True,
    ),
    "exaone4-1.2b": _family(
        "Exaone4ForCausalLM", "exaone4", head_dim=32, sliding_window=None, sliding_window_pattern=None,
        layer_types=["full_attention"] * 4, tie_word_embeddings=True,
    ),
    "exaone4-32b": _family(
        "Exaone4ForCausalLM", "exaone4", head_dim=32, sliding_window=32, sliding_window_pattern="LLLG",
        layer_types=["sliding_attention"] * 3 + ["full_attention"],
    ),
    "command-r": _family("CohereForCausalLM", "cohere", logit_scale=0.0625, tie_word_embeddings=True),
    "command-r7b": _family(
        "Cohere2ForCausalLM", "cohere2", head_dim=32, logit_scale=0.25, sliding_window=32,
        sliding_window_pattern=4, tie_word_embeddings=True,
    ),
    "pythia": _family(
        "GPTNeoXForCausalLM", "gpt_neox", rotary_pct=0.25, use_parallel_residual=True, hidden_act="gelu",
        num_key_value_heads=REMOVED,
    ),
    "stablelm2": _family(
        "StableLmForCausalLM", "stablelm", partial_rotary_factor=0.25, use_qkv_bias=True
    ),
    "starcoder2": _family(
        "Starcoder2ForCausalLM", "starcoder2", sliding_window=32, hidden_act="gelu_pytorch_tanh"
    ),
    "starcoder": {
        "architectures": ["GPTBigCodeForCausalLM"], "model_type": "gpt_bigcode", "n_positions": 2048,
        "multi_query": True, "activation_function": "gelu_pytorch_tanh", **_GPT_SIZES,
    },
    "opt": {
        "architectures": ["OPTForCausalLM"], "model_type": "opt", "hidden_size": 128,
        "word_embed_proj_dim": 128, "ffn_dim": 256, "num_hidden_layers": 4, "num_attention_heads": 4,
        "vocab_size": 4096, "max_position_embeddings": 2048, **_TOKEN_IDS,
    },
    "bloom": {
        "architectures": ["BloomForCausalLM"], "model_type": "bloom", "hidden_size": 128, "n_layer": 4,
        "n_head": 4, "vocab_size": 4096, **_TOKEN_IDS,
    },
    "mpt": {
        "architectures": ["MPTForCausalLM"], "model_type": "mpt", "d_model": 128, "n_layers": 4,
        "n_heads": 4, "expansion_ratio": 2, "max_seq_len": 2048, "vocab_size": 4096, "no_bias": True,
    },
    "ernie4.5-moe": _family(
        "Ernie4_5_MoeForCausalLM", "ernie4_5_moe", moe_num_experts=8, moe_k=2, moe_intermediate_size=64,
        moe_num_shared_experts=1, moe_layer_start_index=1, moe_layer_end_index=3, moe_layer_interval=1,
    ),
    "hunyuan-moe": _family(
        "HunYuanMoEV1ForCausalLM", "hunyuan_v1_moe", num_experts=4, moe_topk=2, head_dim=32,
        num_shared_expert=1,
    ),
    "dots1": _family("Dots1ForCausalLM", "dots1", _DEEPSEEK_EXPERTS, head_dim=32),
}  # fmt: skip

CONFIGS: dict[str, Config] = {**_LLAMA, **_MISTRAL, **_QWEN, **_GEMMA, **_PHI, **_HYBRID, **_OTHERS}
"""The contents of config.json by the name of the family; a few names stand for a variant of one."""
