"""Create tiny random checkpoints of every family, with a tokenizer and a chat template."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    Phi3Config,
    PretrainedConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
    SmolLM3Config,
)

FAMILIES = ("llama", "llama-tied", "llama3", "mistral", "qwen2", "qwen3", "smollm", "smollm3", "phi3", "gpt2")
VOCABULARY = 384
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL_TOKENS = ("<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
LLAMA3_SCALING = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 256,
}
TOKENIZER_TEXT = (
    "Tiny random checkpoints, made on the spot: every family, a tokenizer and a chat template beside it.",
    """Save a random checkpoint of `family` with its tokenizer and chat template; returns `folder`.

    The weights are wider than transformers' own 0.02, so that greedy tokens are no near-ties; biases and
    norms are random too, or a graph that forgets one would pass.

    Args:
        folder: made if it is missing.
        family: a name of `FAMILIES`, or `llama-biased`.
        dtype: type of the saved weights.
        max_shard_size: as in `save_pretrained`; a small one makes a sharded checkpoint.
        overrides: fields of the configuration, such as `num_hidden_layers`.
    """,
)
"""The text that the tokenizer is trained on: changing it changes the token ids of every test."""
_SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
    "bos_token_id": None,
    "eos_token_id": 0,
    "pad_token_id": 0,
}
_GPT2_SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "n_embd": 128,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 2048,
    "bos_token_id": None,
    "eos_token_id": 0,
    "pad_token_id": 0,
}
_FAMILIES: dict[str, tuple[type[PretrainedConfig], dict[str, Any]]] = {
    "llama": (LlamaConfig, _SHAPE),
    "llama-tied": (LlamaConfig, _SHAPE | {"tie_word_embeddings": True}),
    "llama3": (LlamaConfig, _SHAPE | {"rope_parameters": LLAMA3_SCALING}),
    "llama-biased": (LlamaConfig, _SHAPE | {"attention_bias": True, "mlp_bias": True}),
    "mistral": (MistralConfig, _SHAPE | {"sliding_window": None, "head_dim": 64}),
    "qwen2": (Qwen2Config, _SHAPE | {"tie_word_embeddings": True}),
    "qwen3": (Qwen3Config, _SHAPE | {"tie_word_embeddings": True, "head_dim": 64}),
    # As in SmolLM: a head count that is not a power of two, and tied embeddings.
    "smollm": (
        LlamaConfig,
        _SHAPE
        | {
            "hidden_size": 192,
            "num_attention_heads": 3,
            "num_key_value_heads": 1,
            "tie_word_embeddings": True,
        },
    ),
    "smollm3": (SmolLM3Config, _SHAPE | {"num_hidden_layers": 4}),
    "phi3": (Phi3Config, _SHAPE),
    "gpt2": (GPT2Config, _GPT2_SHAPE),
}


def make_checkpoint(
    folder: Path,
    family: str = "llama",
    *,
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
    standard_deviation: float = 0.15,
    max_shard_size: str = "5GB",
    **overrides: Any,
) -> Path:
    """Save a random checkpoint of `family` with tokenizer and chat template, and return `folder`.

    The weights have a larger deviation than transformers' 0.02, to avoid near-ties between greedy tokens.
    Biases and norms are random too, so that a graph that omits one fails.

    Args:
        folder: created if it does not exist.
        family: a name of `FAMILIES`, or `llama-biased`.
        dtype: type of the saved weights.
        max_shard_size: as in `save_pretrained`; a small value gives a sharded checkpoint.
        overrides: fields of the configuration, such as `num_hidden_layers`.
    """
    kind, shape = _FAMILIES[family]
    config = kind(**(shape | overrides))
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            centre = 1.0 if parameter.ndim == 1 and name.endswith("weight") else 0.0
            parameter.normal_(centre, standard_deviation)
    model.to(dtype).save_pretrained(folder, max_shard_size=max_shard_size)
    _tokenizer().save_pretrained(folder)
    return folder


@cache
def _tokenizer() -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([*TOKENIZER_TEXT, CHAT_TEMPLATE], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token="<|end|>", pad_token="<|end|>", chat_template=CHAT_TEMPLATE
    )
