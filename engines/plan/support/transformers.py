"""Which checkpoints transformers loads: `pytorch`, and `compiled` with a static cache."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from engines.plan.checkpoint.layer_kinds import has_state_beside, layer_kinds, window_of
from engines.plan.checkpoint.quantisation import Quantisation
from engines.plan.checkpoint.text_part import text_config
from engines.plan.checkpoint.transformers_models import lacks_causal_model
from engines.plan.hardware.hardware import Device
from engines.plan.support.row import Support

SHORTEST_CACHE = 512
"""Tokens that the cache of `compiled` has at least; it has whole blocks of BLOCK."""
BLOCK = 128
_LOADERS = {
    "gptq": ("gptqmodel",),
    "awq": ("gptqmodel",),
    "bitsandbytes": ("bitsandbytes",),
    "compressed-tensors": ("compressed_tensors",),
    "hqq": ("hqq",),
    "quanto": ("optimum",),
    "torchao": ("torchao",),
}
"""Modules that transformers needs for a quantised checkpoint."""
_NEVER = ("modelopt", "nvfp4", "w4a16_awq", "w4a8_awq", "w8a8_sq_per_channel")
"""Exports of ModelOpt, which transformers does not load."""
_PLAIN = "Use the plain checkpoint."
_OTHER = "Choose PyTorch for this checkpoint."


def checkpoint_support(
    architecture: str,
    config: Mapping[str, object],
    quantisation: Quantisation | None,
    precision: str | None,
    device: Device | None = None,
    context: int | None = None,
) -> Support | None:
    """Return why transformers does not load the checkpoint; see `row.CheckpointSupport`."""
    del precision, device, context
    model_type = str(text_config(config).get("model_type", ""))
    if model_type and lacks_causal_model(model_type) and "auto_map" not in config:
        reason = f"The installed transformers has no {architecture} ({model_type[:40]!a})."
        return Support("unavailable", reason, "Upgrade transformers.")
    return _unreadable(quantisation) if quantisation else None


def compiled_support(
    architecture: str,
    config: Mapping[str, object],
    quantisation: Quantisation | None,
    precision: str | None,
    device: Device | None = None,
    context: int | None = None,
) -> Support | None:
    """Return why the checkpoint does not run with a static cache that attention reads in full."""
    found = checkpoint_support(architecture, config, quantisation, precision, device, context)
    return found or _attention(text_config(config), context)


def _unreadable(found: Quantisation) -> Support | None:
    name = found.name.lower()
    if name in _NEVER:
        return Support("unavailable", f"transformers does not load it. {found.description}", _PLAIN)
    absent = [module for module in _LOADERS.get(name, ()) if find_spec(module) is None]
    if not absent:
        return None
    return Support("unavailable", f"{absent[0]} is not installed. {found.description}", _PLAIN)


def _attention(config: Mapping[str, object], context: int | None) -> Support | None:
    if config.get("attn_logit_softcapping") or config.get("model_type") == "gemma2":
        return Support("unavailable", "Capped attention scores are not supported.", _OTHER)
    layers = config.get("num_hidden_layers")
    kinds = set(layer_kinds(config, layers if isinstance(layers, int) else 1))
    if "none" in kinds or has_state_beside(config):
        reason = "Layers that keep a recurrent state or share keys and values are not supported."
        return Support("unavailable", reason, _OTHER)
    capacity = max(SHORTEST_CACHE, -(-(context or 0) // BLOCK) * BLOCK)
    windows = [window for kind in kinds if (window := window_of(config, kind)) is not None]
    if "chunked" not in kinds and all(window >= capacity for window in windows):
        return None
    reason = f"Its layers see {min(windows):,} tokens only: attention must read all {capacity:,}."
    return Support("unavailable", reason, "Choose a shorter context, or PyTorch for this checkpoint.")
