"""Small real models that need no account, one for each class of memory, with the shapes of their configs.

The shapes are those of the published config.json files, so that an estimate exists without a network.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from engines.hub.models import HubModel
from engines.plan.checkpoint.checkpoint import Checkpoint
from engines.plan.checkpoint.model_card import ModelCard
from engines.plan.checkpoint.shape import read_shape
from engines.plan.checkpoint.tensors import TensorEntry
from engines.plan.checkpoint.weights import add_up
from engines.plan.random_shape import random_tensors

NOWHERE = Path("/nonexistent")
"""The folder of checkpoints that are on no disk."""
_LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
_SMOLLM2 = _LLAMA | {
    "vocab_size": 49152,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": True,
}
_QWEN3 = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "head_dim": 128,
    "num_key_value_heads": 8,
    "vocab_size": 151936,
    "max_position_embeddings": 40960,
    "tie_word_embeddings": True,
}


@dataclass(frozen=True)
class Suggestion:
    """A suggested model: its place in a list, and what an estimate needs. All are stored in bf16."""

    hub_id: str
    licence: str
    purpose: str
    """What it is good for, in a few words."""
    config: dict[str, Any]
    """The part of config.json that determines its size."""
    stores_head: bool = False
    """Whether its files hold a tied head a second time."""

    @property
    def model(self) -> HubModel:
        """The entry of a list; without the numbers of downloads and likes, which change."""
        found = self.checkpoint
        return HubModel(
            hub_id=self.hub_id,
            parameters=found.parameters,
            weight_bytes=found.weight_bytes,
            licence=self.licence,
            gated=False,
            downloads=0,
            likes=0,
            pipeline="text-generation",
        )

    @property
    def checkpoint(self) -> Checkpoint:
        """The facts for an estimate; its folder does not exist."""
        folder = NOWHERE / self.hub_id
        tied = self.config["tie_word_embeddings"]
        tensors = random_tensors(self.config | {"tie_word_embeddings": tied and not self.stores_head})
        entries = {
            name: TensorEntry(folder, "BF16", shape, 0, 2 * prod(shape)) for name, shape in tensors.items()
        }
        return Checkpoint(
            name=self.hub_id,
            folder=folder,
            architecture=self.config["architectures"][0],
            model_type=self.config["model_type"],
            shape=read_shape(self.config, folder / "config.json"),
            weights=add_up(entries, tied, None),
            quantisation=None,
            has_tokenizer=True,
            has_chat_template=True,
            needs_remote_code=False,
            card=ModelCard(self.purpose, self.licence),
            download_bytes=sum(entry.size for entry in entries.values()),
            config=self.config,
        )


def _smollm2(hub_id: str, purpose: str, **counts: int) -> Suggestion:
    return Suggestion(hub_id, "apache-2.0", purpose, _SMOLLM2 | _named(**counts))


def _qwen3(
    hub_id: str, purpose: str, *, tied: bool = True, stores_head: bool = False, **counts: int
) -> Suggestion:
    config = _QWEN3 | _named(**counts) | {"tie_word_embeddings": tied}
    return Suggestion(hub_id, "apache-2.0", purpose, config, stores_head)


def _named(**counts: int) -> dict[str, int]:
    names = {
        "layers": "num_hidden_layers",
        "hidden": "hidden_size",
        "intermediate": "intermediate_size",
        "heads": "num_attention_heads",
        "kv_heads": "num_key_value_heads",
    }
    return {names[name]: count for name, count in counts.items()}


SUGGESTED: tuple[Suggestion, ...] = (
    _smollm2(
        "HuggingFaceTB/SmolLM2-135M-Instruct", "smallest that answers in sentences",
        layers=30, hidden=576, intermediate=1536, heads=9, kv_heads=3,
    ),
    _smollm2(
        "HuggingFaceTB/SmolLM2-360M-Instruct", "short English answers",
        layers=32, hidden=960, intermediate=2560, heads=15, kv_heads=5,
    ),
    _qwen3(
        "Qwen/Qwen3-0.6B", "many languages, can reason step by step",
        layers=28, hidden=1024, intermediate=3072, heads=16, stores_head=True,
    ),
    _qwen3(
        "Qwen/Qwen3-1.7B", "everyday questions on a laptop",
        layers=28, hidden=2048, intermediate=6144, heads=16, stores_head=True,
    ),
    _qwen3(
        "Qwen/Qwen3-4B", "good answers on a GPU with 12 GB",
        layers=36, hidden=2560, intermediate=9728, heads=32,
    ),
    _qwen3(
        "Qwen/Qwen3-8B", "best of these, for a GPU with 24 GB",
        layers=36, hidden=4096, intermediate=12288, heads=32, tied=False,
    ),
)  # fmt: skip
"""By size. All are in safetensors, with a tokenizer and a chat template."""
