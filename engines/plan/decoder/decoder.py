"""Describe a decoder from a checkpoint's `config.json` and the names and shapes of its tensors.

The description does not depend on a library: every graph builder starts here. Anything that cannot be
described exactly is refused by name, because a graph that is almost right still generates fluent text.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engines.plan.checkpoint.tensors import TensorEntry, tensor_entries
from engines.plan.decoder.decoder_config import (
    Config,
    activation_of,
    broken,
    read_config,
    refuse_unsupported_fields,
    unsupported,
)
from engines.plan.decoder.decoder_parts import Decoder, Layer, Linear, Llama3Scaling, Norm, Rope

__all__ = ["Decoder", "Layer", "Linear", "Llama3Scaling", "Norm", "Rope", "read_decoder"]

Entries = Mapping[str, TensorEntry]
FLOAT_TYPES = ("F32", "F16", "BF16")


def read_decoder(folder: Path) -> Decoder:
    """Return the description of the checkpoint in `folder`.

    Raises:
        EngineError: `unsupported-architecture` for features that are not covered; `broken-config` or
            `broken-weights` for damaged files; `missing-weights` as in `tensor_entries`.
    """
    config = read_config(folder)
    refuse_unsupported_fields(config)
    entries = tensor_entries(folder)
    decoder = _gpt2(config, entries) if config.model_type == "gpt2" else _llama_like(config, entries)
    _check_tensors(decoder, entries)
    return decoder


def _llama_like(config: Config, entries: Entries) -> Decoder:
    hidden, heads = config.size("hidden_size"), config.size("num_attention_heads")
    kv_heads = config.size("num_key_value_heads", heads)
    head_dim = config.size("head_dim", config.default_head_dim or _divide(hidden, heads, "hidden_size"))
    if heads % kv_heads:
        raise broken(f"num_attention_heads ({heads}) is not a multiple of num_key_value_heads ({kv_heads})")
    if head_dim % 2:
        raise broken(f"RoPE needs an even head_dim and it is {head_dim}")
    root = "model." if "model.embed_tokens.weight" in entries else ""
    embedding = root + "embed_tokens.weight"
    mlp, vocabulary = config.size("intermediate_size"), config.size("vocab_size")
    sizes = _Sizes(hidden, heads * head_dim, kv_heads * head_dim, mlp)
    rotates = _rotating_layers(config, _layer_count(config, "num_hidden_layers", entries))
    return Decoder(
        model_type=config.model_type,
        vocabulary=vocabulary,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        mlp=mlp,
        norm="rms",
        norm_epsilon=config.number("rms_norm_eps", config.default_epsilon),
        activation=activation_of(config, "hidden_act", "silu"),
        gated=True,
        max_positions=config.size("max_position_embeddings", config.default_positions),
        rope=_rope(config),
        embedding=embedding,
        positions=None,
        layers=tuple(
            _llama_layer(config, f"{root}layers.{index}.", sizes, rotates[index])
            for index in range(len(rotates))
        ),
        final_norm=Norm(root + "norm.weight"),
        head=_head(config, entries, embedding, hidden, vocabulary),
    )


@dataclass(frozen=True)
class _Sizes:
    hidden: int
    query: int
    key: int
    mlp: int


def _llama_layer(config: Config, name: str, sizes: _Sizes, rotates: bool) -> Layer:
    def linear(part: str, inputs: int, outputs: int, biased: bool) -> Linear:
        return Linear(f"{name}{part}.weight", inputs, outputs, f"{name}{part}.bias" if biased else None)

    biased, mlp_biased = config.attention_biased, config.mlp_biased
    qkv_biased = biased or config.model_type == "qwen2"
    hidden, query, key, mlp = sizes.hidden, sizes.query, sizes.key, sizes.mlp
    if config.model_type == "phi3":
        heads, halves = [("qkv_proj", query + 2 * key)], [("gate_up_proj", 2 * mlp)]
    else:
        heads = [("q_proj", query), ("k_proj", key), ("v_proj", key)]
        halves = [("gate_proj", mlp), ("up_proj", mlp)]
    has_head_norms = config.model_type == "qwen3"
    return Layer(
        attention_norm=Norm(name + "input_layernorm.weight"),
        attention_in=tuple(linear(f"self_attn.{part}", hidden, size, qkv_biased) for part, size in heads),
        query_norm=Norm(name + "self_attn.q_norm.weight") if has_head_norms else None,
        key_norm=Norm(name + "self_attn.k_norm.weight") if has_head_norms else None,
        attention_out=linear("self_attn.o_proj", query, hidden, biased),
        rotates=rotates,
        mlp_norm=Norm(name + "post_attention_layernorm.weight"),
        mlp_in=tuple(linear(f"mlp.{part}", hidden, size, mlp_biased) for part, size in halves),
        mlp_out=linear("mlp.down_proj", mlp, hidden, mlp_biased),
    )


def _gpt2(config: Config, entries: Entries) -> Decoder:
    hidden, heads = config.size("n_embd"), config.size("n_head")
    head_dim = _divide(hidden, heads, "n_embd")
    root = "transformer." if "transformer.wte.weight" in entries else ""
    mlp, vocabulary = config.size("n_inner", 4 * hidden), config.size("vocab_size")
    layers = range(_layer_count(config, "n_layer", entries))
    return Decoder(
        model_type=config.model_type,
        vocabulary=vocabulary,
        hidden=hidden,
        heads=heads,
        kv_heads=heads,
        head_dim=head_dim,
        mlp=mlp,
        norm="layer",
        norm_epsilon=config.number("layer_norm_epsilon", 1e-5),
        activation=activation_of(config, "activation_function", "gelu_new"),
        gated=False,
        max_positions=config.size("n_positions", 1024),
        rope=None,
        embedding=root + "wte.weight",
        positions=root + "wpe.weight",
        layers=tuple(_gpt2_layer(f"{root}h.{index}.", hidden, mlp) for index in layers),
        final_norm=Norm(root + "ln_f.weight", root + "ln_f.bias"),
        head=_head(config, entries, root + "wte.weight", hidden, vocabulary),
    )


def _gpt2_layer(name: str, hidden: int, mlp: int) -> Layer:
    def linear(part: str, inputs: int, outputs: int) -> Linear:
        return Linear(f"{name}{part}.weight", inputs, outputs, f"{name}{part}.bias", transposed=True)

    return Layer(
        attention_norm=Norm(name + "ln_1.weight", name + "ln_1.bias"),
        attention_in=(linear("attn.c_attn", hidden, 3 * hidden),),
        query_norm=None,
        key_norm=None,
        attention_out=linear("attn.c_proj", hidden, hidden),
        rotates=False,
        mlp_norm=Norm(name + "ln_2.weight", name + "ln_2.bias"),
        mlp_in=(linear("mlp.c_fc", hidden, mlp),),
        mlp_out=linear("mlp.c_proj", mlp, hidden),
    )


def _divide(hidden: int, heads: int, name: str) -> int:
    if hidden % heads:
        raise broken(f"{name} ({hidden}) is not a multiple of the number of heads ({heads})")
    return hidden // heads


def _layer_count(config: Config, name: str, entries: Entries) -> int:
    count = config.size(name)
    if count > len(entries):
        raise broken(f"{name} is {count}, but the checkpoint has only {len(entries)} tensors")
    return count


def _head(config: Config, entries: Entries, embedding: str, hidden: int, vocabulary: int) -> Linear:
    # transformers 5 does not tie a head that is in the checkpoint, even if the config ties it.
    tied = config.tied and "lm_head.weight" not in entries
    return Linear(embedding if tied else "lm_head.weight", hidden, vocabulary)


def _rotating_layers(config: Config, count: int) -> list[bool]:
    if config.model_type != "smollm3":
        return [True] * count
    listed = config.data.get("no_rope_layers")
    if listed is None:
        interval = config.size("no_rope_layer_interval", 4)
        return [(index + 1) % interval != 0 for index in range(count)]
    # Despite its name, 1 in no_rope_layers marks a layer with RoPE.
    if not isinstance(listed, list) or len(listed) < count or any(value not in (0, 1) for value in listed):
        raise broken(f"no_rope_layers is not a list of at least {count} zeros and ones")
    return [bool(value) for value in listed[:count]]


def _rope(config: Config) -> Rope:
    parameters = config.rope_parameters
    theta = parameters.number("rope_theta", config.default_theta)
    kind = parameters.data.get("rope_type", parameters.data.get("type", "default"))
    if kind in (None, "default"):
        return Rope(theta)
    if kind != "llama3":
        raise unsupported(f"RoPE scaling of type {str(kind)[:40]!r}")
    original = config.size("max_position_embeddings", config.default_positions)
    scaling = Llama3Scaling(
        factor=parameters.number("factor"),
        low_frequency_factor=parameters.number("low_freq_factor"),
        high_frequency_factor=parameters.number("high_freq_factor"),
        original_positions=parameters.number("original_max_position_embeddings", original),
    )
    if scaling.high_frequency_factor <= scaling.low_frequency_factor:
        raise broken("high_freq_factor is not above low_freq_factor")
    return Rope(theta, scaling)


def _expected_shapes(decoder: Decoder) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of the decoder, by name."""
    hidden, head_dim = decoder.hidden, decoder.head_dim
    shapes: dict[str, tuple[int, ...]] = {decoder.embedding: (decoder.vocabulary, hidden)}
    if decoder.positions is not None:
        shapes[decoder.positions] = (decoder.max_positions, hidden)
    for linear in decoder.linears:
        shape = (linear.outputs, linear.inputs)
        shapes[linear.weight] = shape[::-1] if linear.transposed else shape
        if linear.bias is not None:
            shapes[linear.bias] = (linear.outputs,)
    norms = [(decoder.final_norm, hidden)]
    for layer in decoder.layers:
        norms += [(layer.attention_norm, hidden), (layer.mlp_norm, hidden)]
        norms += [(norm, head_dim) for norm in (layer.query_norm, layer.key_norm) if norm is not None]
    for norm, size in norms:
        shapes |= {name: (size,) for name in (norm.weight, norm.bias) if name is not None}
    return shapes


_BUFFERS = (".rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias")
"""Constants in old checkpoints that no loader reads."""


def _check_tensors(decoder: Decoder, entries: Entries) -> None:
    shapes = _expected_shapes(decoder)
    for name, shape in shapes.items():
        entry = entries.get(name)
        if entry is None:
            raise broken(f"the checkpoint has no tensor {name}", "broken-weights")
        if entry.shape != shape:
            raise broken(f"{name} has the shape {list(entry.shape)} and {list(shape)} was expected")
        if entry.dtype not in FLOAT_TYPES:
            raise unsupported(f"a weight of type {entry.dtype} ({name})", "Pick the unquantised checkpoint.")
    # An unused tensor in a layer means that the layer computes more than this description covers.
    inside = decoder.layers[0].attention_norm.weight.partition("0.")[0]
    for name in entries:
        if name.startswith(inside) and name not in shapes and not name.endswith(_BUFFERS):
            raise unsupported(f"the tensor {name}, which {decoder.model_type} is not known to have")
