"""Model shapes with random weights: `shape:llama-2-7b` is the config of that model, with weights from a seed.

They measure speed and memory without a download; the generated text is meaningless. The weights are
generated on the device when an engine is loaded and are never written to disk.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from engines.demo import CHECKPOINT
from engines.errors import EngineError
from engines.plan.checkpoint.json_file import broken, read_json_object

PREFIX = "shape:"
MARKER = "random_weights.json"
"""File in the folder of a shape: marks its weights as random and holds their seed."""
_COMMON: dict[str, Any] = {"hidden_act": "silu", "initializer_range": 0.02, "dtype": "bfloat16"}
_LLAMA = _COMMON | {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
SHAPES: dict[str, dict[str, Any]] = {
    "llama-2-7b": _LLAMA
    | {
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "vocab_size": 32000,
        "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False,
    },
    "llama-3.1-8b": _LLAMA
    | {
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 128256,
        "max_position_embeddings": 131072,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0,
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        },
        "tie_word_embeddings": False,
    },
    "qwen3-4b": _COMMON
    | {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "hidden_size": 2560,
        "intermediate_size": 9728,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 151936,
        "max_position_embeddings": 40960,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0,
        "tie_word_embeddings": True,
    },
}
"""The published config.json of each model, without the fields for text generation."""
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json")


def shape_folder(name: str, root: Path | None = None, seed: int = 0) -> Path:
    """Create the folder of the shape `name` (with its prefix) and return it.

    The tokenizer is that of the demo checkpoint, whose vocabulary is smaller than that of every shape.

    Args:
        root: parent folder; None for the user's cache.

    Raises:
        EngineError: the shape is unknown (`no-checkpoint`).
    """
    shape = name.removeprefix(PREFIX)
    if shape not in SHAPES:
        raise EngineError(
            "no-checkpoint",
            f"Unknown shape: {shape!r}.",
            f"Known: {', '.join(PREFIX + known for known in SHAPES)}.",
        )
    folder = (root or _cache()) / f"random-{shape}"
    folder.mkdir(parents=True, exist_ok=True)
    for file in TOKENIZER_FILES:
        if (CHECKPOINT / file).is_file():
            shutil.copyfile(CHECKPOINT / file, folder / file)
    eos = json.loads((CHECKPOINT / "config.json").read_text("utf-8")).get("eos_token_id", 0)
    _write(folder / "config.json", SHAPES[shape] | {"eos_token_id": eos, "random_seed": seed})
    _write(folder / MARKER, {"seed": seed})
    return folder


def random_seed(folder: Path) -> int | None:
    """Return the seed of a folder with random weights; None for any other checkpoint.

    Raises:
        EngineError: the marker is there and holds no seed that PyTorch takes (`broken-config`).
    """
    file = folder / MARKER
    if not file.exists():
        return None
    seed = read_json_object(file).get("seed")
    if type(seed) is not int or not 0 <= seed < 2**63:
        raise broken(file, "broken-config", "its seed is not a whole number from 0 to 2⁶³ - 1")
    return seed


def random_tensors(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of the weights for a config of SHAPES.

    Raises:
        KeyError, TypeError, ZeroDivisionError: it is not such a config.
    """
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    width = config.get("head_dim") or hidden // config["num_attention_heads"]
    queries, pairs = config["num_attention_heads"] * width, config["num_key_value_heads"] * width
    parts: dict[str, tuple[int, ...]] = {
        "self_attn.q_proj": (queries, hidden),
        "self_attn.k_proj": (pairs, hidden),
        "self_attn.v_proj": (pairs, hidden),
        "self_attn.o_proj": (hidden, queries),
        "mlp.gate_proj": (inner, hidden),
        "mlp.up_proj": (inner, hidden),
        "mlp.down_proj": (hidden, inner),
        "input_layernorm": (hidden,),
        "post_attention_layernorm": (hidden,),
    }
    if config["model_type"] == "qwen3":
        parts |= {"self_attn.q_norm": (width,), "self_attn.k_norm": (width,)}
    tensors: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config["vocab_size"], hidden)}
    for layer in range(config["num_hidden_layers"]):
        tensors |= {f"model.layers.{layer}.{part}.weight": shape for part, shape in parts.items()}
    tensors["model.norm.weight"] = (hidden,)
    if not config["tie_word_embeddings"]:
        tensors["lm_head.weight"] = (config["vocab_size"], hidden)
    return tensors


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "trt-playground" / "shapes"


def _write(file: Path, content: dict[str, Any]) -> None:
    """Write `content` only if it differs: the modification time is part of an engine's fingerprint."""
    text = json.dumps(content, indent=2)
    if not file.is_file() or file.read_text("utf-8") != text:
        file.write_text(text, "utf-8")
