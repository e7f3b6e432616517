"""The architectures that a graph can be built for, as data: how each differs from Llama.

A family is one `model_type` of transformers. Fields that a `config.json` leaves out have the defaults of
transformers' own configuration class.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal


@dataclass(frozen=True)
class Flag:
    """A boolean field of `config.json`."""

    name: str
    default: bool = False


@dataclass(frozen=True)
class Number:
    """A positive number in `config.json`."""

    name: str
    default: float


@dataclass(frozen=True)
class Names:
    """Names of a layer's tensors, without `.weight`. None: this layer has no such norm."""

    attention_norm: str | None = "input_layernorm"
    attention_in: tuple[str, ...] = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
    query_norm: str = "self_attn.q_norm"
    key_norm: str = "self_attn.k_norm"
    attention_out: str = "self_attn.o_proj"
    attention_out_norm: str | None = None
    mlp_norm: str | None = "post_attention_layernorm"
    mlp_in: tuple[str, ...] = ("mlp.gate_proj", "mlp.up_proj")
    mlp_out: str = "mlp.down_proj"
    mlp_out_norm: str | None = None
    final_norm: str = "norm"


@dataclass(frozen=True)
class Family:
    """Differences from Llama."""

    names: Names = field(default_factory=Names)
    positions: int = 2048
    epsilon: Number = field(default_factory=lambda: Number("rms_norm_eps", 1e-6))
    head_dim: int | None = None
    """None: hidden size / heads."""
    kv_heads: int | None = None
    """None: as many as heads."""
    theta: float = 10_000.0
    local_theta: Number | None = None
    """RoPE's theta in layers with a sliding window; None: one RoPE for all."""
    rotates: Literal["all", "sliding"] = "all"
    """Which layers have RoPE."""
    rope_type: str = "default"
    partial_rotary: float = 1.0
    interleaved: bool = False
    """RoPE turns neighbours instead of the two halves of a head."""
    tied: bool = False
    norm: Literal["rms", "layer", "layer-without-bias", "plain"] = "rms"
    """`plain` is a LayerNorm without any parameters."""
    norm_offset: float = 0.0
    """Added to the weights of norms."""
    head_norm: Literal["head", "projection"] | None = None
    """Whether query and key are normalised by head, or all heads at once."""
    rope_first: bool = False
    """The norm of query and key comes after RoPE."""
    qkv_bias: Flag | bool = False
    output_bias: Flag | bool = False
    mlp_bias: Flag | bool = False
    head_bias: bool = False
    gated: bool = True
    activation: tuple[str, str] = ("hidden_act", "silu")
    """Name of the field, and its default."""
    parallel: bool = False
    """Attention and MLP both start from the same norm, and are added together."""
    windows: bool = False
    """Whether layers may have a sliding window; which ones, `layer_kinds` says."""
    attention_scale: Number | float | None = None
    """The factor of attention scores; None: 1 / sqrt(head width)."""
    query_scalar: Number | None = None
    """Its square root divides the attention scores."""
    softcap: Number | None = None
    logit_softcap: Number | None = None
    embedding_scale: Number | None = None
    scales_by_width: bool = False
    """The embedding is multiplied by the square root of the hidden size."""
    residual_scale: Number | None = None
    logit_factor: Number | None = None
    logit_divisor: Number | None = None
    mlp_size: str = "intermediate_size"
    value_norm: bool = False
    """Values are normalised by head, without weights."""
    per_layer_inputs: bool = False
    """As in Gemma 3n and 4: each layer has inputs of its own, and heads and keys differ by type of layer."""


_FOUR_NORMS = Names(
    attention_out_norm="post_attention_layernorm",
    mlp_norm="pre_feedforward_layernorm",
    mlp_out_norm="post_feedforward_layernorm",
)
_NORMS_AFTER = Names(
    attention_norm=None,
    attention_out_norm="post_attention_layernorm",
    mlp_norm=None,
    mlp_out_norm="post_feedforward_layernorm",
)
_FUSED_MLP = ("mlp.gate_up_proj",)
_LAYER_EPSILON = Number("layer_norm_eps", 1e-5)
_RMS_EPSILON_5 = Number("rms_norm_eps", 1e-5)
_BIASED = Family(qkv_bias=Flag("attention_bias"), output_bias=Flag("attention_bias"))
_MISTRAL = Family(positions=131_072, kv_heads=8, windows=True)
_QWEN2 = Family(positions=32_768, kv_heads=32, qkv_bias=True)
_QWEN3 = replace(_BIASED, head_dim=128, kv_heads=32, head_norm="head")
_GEMMA = replace(
    _BIASED,
    positions=8192,
    head_dim=256,
    kv_heads=16,
    tied=True,
    norm_offset=1.0,
    scales_by_width=True,
    activation=("hidden_act", "gelu_pytorch_tanh"),
)
_GEMMA2 = replace(
    _GEMMA,
    names=_FOUR_NORMS,
    kv_heads=4,
    activation=("hidden_activation", "gelu_pytorch_tanh"),
    windows=True,
    query_scalar=Number("query_pre_attn_scalar", 256.0),
    softcap=Number("attn_logit_softcapping", 50.0),
    logit_softcap=Number("final_logit_softcapping", 30.0),
)
_GEMMA3 = replace(
    _GEMMA2,
    positions=131_072,
    theta=1_000_000.0,
    local_theta=Number("rope_local_base_freq", 10_000.0),
    head_norm="head",
    softcap=Number("attn_logit_softcapping", 0.0),
    logit_softcap=Number("final_logit_softcapping", 0.0),
)
_GRANITE = replace(
    _BIASED,
    attention_scale=Number("attention_multiplier", 1.0),
    embedding_scale=Number("embedding_multiplier", 1.0),
    residual_scale=Number("residual_multiplier", 1.0),
    logit_divisor=Number("logits_scaling", 1.0),
)
_OLMO2 = replace(_BIASED, names=_NORMS_AFTER, epsilon=_RMS_EPSILON_5, head_norm="projection")
_COHERE = replace(
    _BIASED,
    positions=8192,
    epsilon=_LAYER_EPSILON,
    interleaved=True,
    tied=True,
    norm="layer-without-bias",
    parallel=True,
    logit_factor=Number("logit_scale", 0.0625),
)
_GLM = Family(
    names=Names(mlp_in=_FUSED_MLP),
    positions=131_072,
    epsilon=Number("rms_norm_eps", 1.5625e-7),
    head_dim=128,
    kv_heads=2,
    partial_rotary=0.5,
    interleaved=True,
    qkv_bias=Flag("attention_bias", True),
)

FAMILIES: dict[str, Family] = {
    "llama": replace(_BIASED, mlp_bias=Flag("mlp_bias")),
    "mistral": _MISTRAL,
    "ministral": _MISTRAL,
    "ministral3": replace(
        _MISTRAL, positions=262_144, epsilon=_RMS_EPSILON_5, head_dim=128, theta=1_000_000.0
    ),
    "qwen2": replace(_QWEN2, windows=True),
    "qwen3": replace(_QWEN3, positions=32_768, windows=True),
    # The text part of models that read images too. Three positions a token, which are equal in a text.
    "qwen2_vl_text": replace(_QWEN2, theta=1_000_000.0),
    "qwen2_5_vl_text": replace(_QWEN2, theta=1_000_000.0),
    "qwen3_vl_text": replace(_QWEN3, positions=128_000, theta=500_000.0),
    "smollm3": replace(
        _BIASED,
        positions=32_768,
        theta=2_000_000.0,
        tied=True,
        kv_heads=4,
        mlp_bias=Flag("mlp_bias"),
        windows=True,
    ),
    "phi3": Family(
        names=Names(attention_in=("self_attn.qkv_proj",), mlp_in=_FUSED_MLP),
        positions=4096,
        epsilon=_RMS_EPSILON_5,
        windows=True,
    ),
    "gpt2": Family(
        positions=1024,
        epsilon=Number("layer_norm_epsilon", 1e-5),
        tied=True,
        norm="layer",
        activation=("activation_function", "gelu_new"),
    ),
    "gemma": _GEMMA,
    "gemma2": _GEMMA2,
    "gemma3_text": _GEMMA3,
    "gemma4_text": replace(
        _GEMMA3,
        norm_offset=0.0,
        rope_type="proportional",
        partial_rotary=0.25,
        value_norm=True,
        query_scalar=None,
        attention_scale=1.0,
        softcap=None,
        per_layer_inputs=True,
    ),
    "granite": replace(_GRANITE, mlp_bias=Flag("mlp_bias")),
    "granitemoehybrid": replace(
        _GRANITE,
        names=Names(mlp_in=("shared_mlp.input_linear",), mlp_out="shared_mlp.output_linear"),
        mlp_size="shared_intermediate_size",
    ),
    "olmo": Family(norm="plain", epsilon=Number("layer_norm_eps", 1e-5)),
    "olmo2": _OLMO2,
    "olmo3": replace(_OLMO2, theta=500_000.0, local_theta=Number("rope_theta", 500_000.0), windows=True),
    "exaone4": Family(
        names=_NORMS_AFTER,
        epsilon=_RMS_EPSILON_5,
        head_norm="head",
        rotates="sliding",
        windows=True,
        kv_heads=32,
    ),
    "cohere": replace(_COHERE, theta=500_000.0),
    "cohere2": replace(_COHERE, rotates="sliding", windows=True),
    "glm": _GLM,
    "glm4": replace(
        _GLM,
        names=Names(
            mlp_in=_FUSED_MLP,
            attention_out_norm="post_self_attn_layernorm",
            mlp_out_norm="post_mlp_layernorm",
        ),
    ),
    "phi": Family(
        names=Names(
            attention_out="self_attn.dense",
            mlp_norm=None,
            mlp_in=("mlp.fc1",),
            mlp_out="mlp.fc2",
            final_norm="final_layernorm",
        ),
        epsilon=_LAYER_EPSILON,
        partial_rotary=0.5,
        norm="layer",
        qkv_bias=True,
        output_bias=True,
        mlp_bias=True,
        head_bias=True,
        gated=False,
        activation=("hidden_act", "gelu_new"),
        parallel=True,
    ),
    "starcoder2": Family(
        names=Names(mlp_in=("mlp.c_fc",), mlp_out="mlp.c_proj"),
        positions=4096,
        epsilon=Number("norm_epsilon", 1e-5),
        kv_heads=2,
        tied=True,
        norm="layer",
        qkv_bias=Flag("use_bias", True),
        output_bias=Flag("use_bias", True),
        mlp_bias=Flag("use_bias", True),
        gated=False,
        activation=("hidden_act", "gelu_pytorch_tanh"),
        windows=True,
    ),
    "seed_oss": Family(
        positions=524_288,
        head_dim=128,
        kv_heads=8,
        qkv_bias=Flag("attention_bias", True),
        output_bias=Flag("attention_out_bias"),
        mlp_bias=Flag("mlp_bias"),
    ),
    "helium": Family(
        positions=4096,
        epsilon=Number("rms_norm_eps", 1e-8),
        head_dim=128,
        kv_heads=20,
        theta=100_000.0,
        interleaved=True,
        qkv_bias=Flag("attention_bias"),
        mlp_bias=Flag("mlp_bias"),
    ),
    "ernie4_5": Family(
        positions=131_072,
        epsilon=_RMS_EPSILON_5,
        head_dim=128,
        kv_heads=2,
        theta=500_000.0,
        interleaved=True,
        tied=True,
        qkv_bias=Flag("use_bias"),
        output_bias=Flag("use_bias"),
        mlp_bias=Flag("use_bias"),
    ),
    "hunyuan_v1_dense": replace(
        _BIASED,
        names=Names(query_norm="self_attn.query_layernorm", key_norm="self_attn.key_layernorm"),
        epsilon=_RMS_EPSILON_5,
        head_norm="head",
        rope_first=True,
    ),
    "internlm3": Family(
        positions=32_768,
        epsilon=_RMS_EPSILON_5,
        head_dim=128,
        kv_heads=2,
        qkv_bias=Flag("qkv_bias"),
        output_bias=Flag("bias"),
        mlp_bias=Flag("bias"),
    ),
    "nemotron": replace(
        _BIASED,
        names=Names(mlp_in=("mlp.up_proj",)),
        positions=4096,
        epsilon=Number("norm_eps", 1e-5),
        partial_rotary=0.5,
        norm="layer",
        norm_offset=1.0,
        mlp_bias=Flag("mlp_bias"),
        gated=False,
        activation=("hidden_act", "relu2"),
    ),
    "stablelm": Family(
        positions=4096,
        epsilon=_LAYER_EPSILON,
        kv_heads=32,
        partial_rotary=0.25,
        norm="layer",
        qkv_bias=Flag("use_qkv_bias"),
    ),
    "arcee": replace(
        _BIASED,
        names=Names(mlp_in=("mlp.up_proj",)),
        positions=4096,
        epsilon=_RMS_EPSILON_5,
        mlp_bias=Flag("mlp_bias"),
        gated=False,
        activation=("hidden_act", "relu2"),
    ),
}
MODEL_TYPES = tuple(FAMILIES)
WRAPPERS = {"gemma3": "gemma3_text", "mistral3": "mistral"}
"""The `model_type` of the text part where a wrapper's `text_config` has none."""
