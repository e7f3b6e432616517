"""What the metadata of a GGUF model say about its decoder, in the words of transformers' config.json.

With a config the shape, the windows of layers and the KV cache are computed as for every other checkpoint.
Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from collections.abc import Mapping

from engines.errors import EngineError
from engines.gguf.model_file import GgufModel
from engines.plan.checkpoint.json_file import broken

MODEL_TYPES = {
    "gemma3": "gemma3_text", "gemma3n": "gemma3n_text", "gemma4": "gemma4_text", "gpt-oss": "gpt_oss",
    "llama4": "llama4_text", "qwen2moe": "qwen2_moe", "qwen3moe": "qwen3_moe", "qwen3next": "qwen3_next",
    "qwen35": "qwen3_5_text", "qwen35moe": "qwen3_5_moe_text", "command-r": "cohere",
    "falcon-h1": "falcon_h1",
    "gptneox": "gpt_neox", "gptj": "gptj", "granitehybrid": "granitemoehybrid", "granitemoe": "granitemoe",
    "lfm2moe": "lfm2_moe", "mistral3": "ministral3", "phi2": "phi", "ernie4_5-moe": "ernie4_5_moe",
    "rwkv6": "rwkv", "rwkv7": "rwkv", "arwkv7": "rwkv", "rwkv6qwen2": "rwkv",
}  # fmt: skip
"""From `general.architecture` to the family in transformers, where the names differ."""
WITH_WINDOWS = (
    "gemma2", "gemma3", "gemma3n", "gemma4", "gpt-oss", "cohere2", "olmo2", "olmo3", "exaone4", "llama4",
)  # fmt: skip
"""Architectures of which llama.cpp keeps only the window for some layers; for others it is ignored."""
NO_TEXT_DECODERS = {
    "clip": "the part of a model that reads images",
    **dict.fromkeys(
        ("bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "jina-bert-v3", "modern-bert", "neo-bert",
         "eurobert", "gemma-embedding", "llama-embed"),
        "a model for embeddings",
    ),
    **dict.fromkeys(("t5", "t5encoder"), "a model with an encoder"),
    "wavtokenizer-dec": "a model that makes sound",
    **dict.fromkeys(("dream", "llada", "llada-moe", "rnd1"), "a diffusion model"),
}  # fmt: skip
_KINDS = {
    "adapter": "a LoRA adapter",
    "mmproj": "the part of a model that reads images",
    "imatrix": "an importance matrix",
}
LIMIT = 2**31
MAX_LAYERS = 10_000


def architecture_of(model: GgufModel) -> str:
    """Return the architecture of a text decoder by its name in llama.cpp.

    Raises:
        EngineError: the metadata name none (`broken-config`), or it is no text decoder (`not-causal-lm`).
    """
    name, kind = model.text("general.architecture"), model.text("general.type")
    why = _KINDS.get(kind, "") or NO_TEXT_DECODERS.get(name, "")
    if not why and model.metadata.get(f"{name}.attention.causal") is False:
        why = "a model for embeddings"
    if why:
        message = f"{model.file.name} is {why}, not a text decoder that can chat."
        raise EngineError("not-causal-lm", message, "Choose the GGUF file of a chat model.")
    if not name or len(name) > 60 or not name.replace("-", "_").replace(".", "_").isidentifier():
        raise broken(model.file, "broken-config", "its metadata name no architecture")
    if not model.tensors:
        message = f"{model.file.name} holds a vocabulary and no weights."
        raise EngineError("missing-weights", message, "Choose the GGUF file of the model itself.")
    return name


def config_of(model: GgufModel, architecture: str) -> dict[str, object]:
    """Return the fields of a config.json that describe the decoder.

    Raises:
        EngineError: a number is missing or out of range (`broken-config`).
    """
    layers = _count(model, f"{architecture}.block_count", MAX_LAYERS)
    heads = _largest(model, f"{architecture}.attention.head_count", layers)
    model_type = MODEL_TYPES.get(architecture, architecture)
    found: dict[str, object] = {
        "model_type": model_type if heads else "rwkv" if model_type == "rwkv" else "mamba",
        "num_hidden_layers": layers,
        "hidden_size": _count(model, f"{architecture}.embedding_length"),
        "num_attention_heads": heads or None,
        "num_key_value_heads": _largest(model, f"{architecture}.attention.head_count_kv", layers, heads)
        or None,
        "intermediate_size": _largest(model, f"{architecture}.feed_forward_length", layers) or None,
        "vocab_size": model.count("tokenizer.ggml.tokens") or _count(model, f"{architecture}.vocab_size"),
    }
    names = {
        "max_position_embeddings": "context_length",
        "head_dim": "attention.key_length",
        "num_local_experts": "expert_count",
        "num_experts_per_tok": "expert_used_count",
        "kv_lora_rank": "attention.kv_lora_rank",
        "rope_theta": "rope.freq_base",
        "rms_norm_eps": "attention.layer_norm_rms_epsilon",
    }
    if architecture in WITH_WINDOWS:
        names["sliding_window"] = "attention.sliding_window"
    found |= {name: model.metadata.get(f"{architecture}.{key}") for name, key in names.items()}
    if found["kv_lora_rank"]:
        found["qk_rope_head_dim"] = model.metadata.get(f"{architecture}.rope.dimension_count")
    return {name: value for name, value in found.items() if value is not None}


def kv_heads_by_layer(model: GgufModel, architecture: str) -> list[int]:
    """Return the KV heads of each layer, where the file has them by layer; else an empty list."""
    values = model.items(f"{architecture}.attention.head_count_kv")
    return [value for value in values if type(value) is int]


def _count(model: GgufModel, key: str, limit: int = LIMIT) -> int:
    value = model.metadata.get(key)
    if value is None:
        raise broken(model.file, "broken-config", f"its metadata have no {key}")
    if type(value) is not int or not 0 < value <= limit:
        raise broken(model.file, "broken-config", f"{key} is {str(value)[:40]!r}")
    return value


def _largest(model: GgufModel, key: str, layers: int, default: int = 0) -> int:
    """Return a number, or the largest of an array with one for each layer; 0 for none."""
    value = model.metadata.get(key, default)
    values = value if isinstance(value, list) else [value]
    if isinstance(value, list) and len(value) < layers:
        raise broken(model.file, "broken-config", f"{key} has {len(value):,} values for {layers:,} layers")
    if not all(type(one) is int and 0 <= one <= LIMIT for one in values):
        raise broken(model.file, "broken-config", f"{key} is {str(value)[:40]!r}")
    return max((one for one in values if isinstance(one, int)), default=0)


def is_model(metadata: Mapping[str, object]) -> bool:
    """Return whether metadata are those of a model and not of a part of one, such as an adapter."""
    named = metadata.get("general.architecture")
    return metadata.get("general.type") not in _KINDS and named not in NO_TEXT_DECODERS
