"""Which decoders can be written as a GGUF file, and how each differs from our description of it.

llama.cpp has one graph an architecture: what its file format has no field for must be as that graph has it.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from engines.plan.decoder.config_check import check_config
from engines.plan.decoder.decoder import head_dim_of
from engines.plan.decoder.decoder_config import Config, unsupported
from engines.plan.decoder.rope import Rope, position_scale, read_rope
from engines.plan.decoder.windows import layer_types, read_windows, rotating_layers


@dataclass(frozen=True)
class GgufFamily:
    """How llama.cpp runs a family."""

    architecture: str
    """Its name in GGUF files."""
    interleaved: bool = False
    """RoPE turns neighbours: rows of query and key that are stored as two halves of a head must be moved."""
    scales_rope: bool = False
    """The graph reads factors of RoPE's frequencies."""
    every_fourth_without_rope: bool = False


GGUF_FAMILIES: dict[str, GgufFamily] = {
    "llama": GgufFamily("llama", interleaved=True, scales_rope=True),
    "mistral": GgufFamily("llama", interleaved=True, scales_rope=True),
    "qwen2": GgufFamily("qwen2"),
    "qwen3": GgufFamily("qwen3"),
    "smollm3": GgufFamily("smollm3", interleaved=True, every_fourth_without_rope=True),
    "gemma": GgufFamily("gemma"),
    "granite": GgufFamily("granite", interleaved=True, scales_rope=True),
    "phi3": GgufFamily("phi3"),
    "olmo2": GgufFamily("olmo2"),
    "seed_oss": GgufFamily("seed_oss"),
    "arcee": GgufFamily("arcee", interleaved=True, scales_rope=True),
    "starcoder2": GgufFamily("starcoder2"),
}


def check_gguf_config(data: Mapping[str, object]) -> None:
    """Check by config.json whether the decoder can be written for llama.cpp.

    Raises:
        EngineError: `unsupported-architecture` or `broken-config`, as when the file is written.
    """
    refuse_unwritable(check_config(data))


def refuse_unwritable(config: Config) -> None:
    """Refuse what `check_gguf_config` does, of a configuration that is read already."""
    family = gguf_family(config.model_type)
    types = layer_types(config, config.size("num_hidden_layers"))
    if any(read_windows(config, types)):
        raise unsupported("a sliding window, which is not written to GGUF files", _OTHERS)
    if position_scale(config) is not None:
        raise unsupported("queries that are scaled by position", _OTHERS)
    _check_rotating(family, rotating_layers(config, len(types)))
    for kind in set(types):
        width = head_dim_of(config, kind)
        check_rope(family, read_rope(config, width, kind), width)


_OTHERS = "Choose OpenVINO or PyTorch for this checkpoint, or a GGUF file of it made elsewhere."


def gguf_family(model_type: str) -> GgufFamily:
    """Return how llama.cpp runs a family.

    Raises:
        EngineError: `unsupported-architecture`.
    """
    if model_type not in GGUF_FAMILIES:
        raise unsupported(f"the architecture {model_type!r}, which is not written to GGUF files", _OTHERS)
    return GGUF_FAMILIES[model_type]


def _check_rotating(family: GgufFamily, rotating: Iterable[bool]) -> None:
    for index, rotates in enumerate(rotating):
        expected = not (family.every_fourth_without_rope and index % 4 == 3)
        if rotates != expected:
            raise unsupported("layers without RoPE in an unusual order", _OTHERS)


def check_rope(family: GgufFamily, rope: Rope, head_dim: int) -> None:
    """Check that llama.cpp can rotate as `rope` does.

    Raises:
        EngineError: `unsupported-architecture`.
    """
    if rope.width != head_dim:
        raise unsupported("a partial rotary embedding, which is not written to GGUF files", _OTHERS)
    if rope.factor != 1.0:
        raise unsupported("RoPE scaling with a factor of the scores", _OTHERS)
    if not family.scales_rope and theta_of(rope) is None:
        raise unsupported("RoPE scaling, which llama.cpp's graph of this family does not read", _OTHERS)


def theta_of(rope: Rope) -> float | None:
    """Return the base whose powers RoPE's frequencies are; None if they are scaled."""
    found, pairs = rope.frequencies, len(rope.frequencies)
    if found[0] != 1.0:
        return None
    theta = found[1] ** -pairs if pairs > 1 and found[1] > 0 else 10_000.0
    exact = all(abs(value - theta ** (-pair / pairs)) <= 1e-6 * value for pair, value in enumerate(found))
    return theta if exact else None
