"""What is known of a checkpoint before anything is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engines.plan.checkpoint.model_card import ModelCard
from engines.plan.checkpoint.quantisation import Quantisation
from engines.plan.checkpoint.shape import DecoderShape, KVLayer
from engines.plan.checkpoint.weights import Weights


@dataclass(frozen=True)
class Checkpoint:
    """Facts of a checkpoint that are known before anything is built."""

    name: str
    """Hub id of a hub snapshot, else the name of the folder or of the GGUF file."""
    folder: Path
    """Absolute. Of a GGUF model the file, the first one of several parts."""
    architecture: str
    """Class name in transformers, such as `LlamaForCausalLM`; of a GGUF file its name in llama.cpp."""
    model_type: str
    """Family name of the text decoder in transformers, such as `llama`; empty where the config has none."""
    shape: DecoderShape
    weights: Weights
    quantisation: Quantisation | None
    """How the checkpoint is quantised; None for plain weights."""
    has_tokenizer: bool
    has_chat_template: bool
    needs_remote_code: bool
    """Whether loading it needs code from the checkpoint (`trust_remote_code`)."""
    card: ModelCard
    download_bytes: int = 0
    """Bytes of the weight files, those of parts that are not loaded included."""
    is_text_part: bool = False
    """Whether it is the text decoder of a model that also reads images or sound; only that is loaded."""
    unused_files: tuple[str, ...] = ()
    """Names of weight files that are not loaded, such as a second copy or a stale index."""
    is_random: bool = False
    """Whether its weights are generated from a seed at load time and are in no file."""
    gguf_precision: str = ""
    """The precision of a GGUF file, such as `q4_k_m`, which runs as it is; empty for other checkpoints."""
    not_dequantised: str = ""
    """Why a GGUF file has no dequantised form here, as a sentence; empty if it has one."""
    config: Mapping[str, object] = field(hash=False, repr=False, default_factory=dict)
    """What config.json holds; of a GGUF file what its metadata say, by the same names."""
    identity: dict[str, str] = field(hash=False, default_factory=dict)
    """Facts that change with its content: part of an engine's fingerprint."""

    @property
    def parameters(self) -> int:
        """All parameters, a tied head counted once."""
        return self.weights.parameters

    @property
    def weight_bytes(self) -> int:
        """Bytes of the text decoder's tensors on disk."""
        return self.weights.bytes_on_disk

    @property
    def dtype(self) -> str:
        """The type of most parameters, as a name of `engines.plan.precision` where one exists."""
        return self.weights.dtype

    @property
    def kv_heads(self) -> int:
        """Key and value heads in a layer."""
        return self.shape.kv_heads

    @property
    def max_positions(self) -> int | None:
        """Tokens that the positions were trained for; None where the config does not say."""
        return self.shape.max_positions

    @property
    def parameters_read_per_token(self) -> int:
        """Parameters read to decode one token: without input embedding, with the head and active experts."""
        weights = self.weights
        idle_experts = round(weights.expert * (1 - self.shape.active_expert_share))
        tied_head = weights.head if weights.tied else 0
        return weights.parameters - weights.embedding + tied_head - idle_experts

    def kv_bytes_per_token(self, element_bytes: float, head_overhead: float = 0.0) -> float:
        """Return the bytes of KV cache of one token: the sum over layers of heads · (key + value) · bytes.

        Args:
            element_bytes: bytes of one stored key or value element.
            head_overhead: bytes of scales for the key of each head, and again for its value.
        """
        return sum(_token_bytes(layer, element_bytes, head_overhead) for layer in self.shape.kv_layers)

    def attention_bytes_per_token(self, element_bytes: float, head_overhead: float = 0.0) -> float:
        """Return the bytes of one token where each layer keeps its own; see `kv_bytes_per_token`."""
        layers = self.shape.attention_layers or self.shape.kv_layers
        return sum(_token_bytes(layer, element_bytes, head_overhead) for layer in layers)

    def kv_bytes(self, tokens: int, element_bytes: float, head_overhead: float = 0.0) -> int:
        """Return the bytes of KV cache at `tokens`; layers with a window hold no more than that."""
        return round(
            sum(
                layer.tokens(tokens) * _token_bytes(layer, element_bytes, head_overhead)
                for layer in self.shape.kv_layers
            )
        )


def _token_bytes(layer: KVLayer, element_bytes: float, head_overhead: float) -> float:
    return layer.heads * ((layer.key_dim + layer.value_dim) * element_bytes + 2 * head_overhead)
