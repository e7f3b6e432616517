"""Describe a decoder from a checkpoint's `config.json` and the names and shapes of its tensors.

The description does not depend on a library: every graph builder starts here. Anything that cannot be
described exactly is refused by name, because a graph that is almost right still generates fluent text.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
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
from engines.plan.decoder.decoder_parts import Decoder, Layer, Linear, Norm
from engines.plan.decoder.families import Family, Flag
from engines.plan.decoder.per_layer_inputs import read_per_layer_inputs, unread_keys, with_layer_inputs
from engines.plan.decoder.rope import Rope, longest_context, position_scale, read_rope
from engines.plan.decoder.windows import layer_types, read_windows, rotating_layers

__all__ = ["Decoder", "Layer", "Linear", "Norm", "Rope", "read_decoder"]

Entries = Mapping[str, TensorEntry]
FLOAT_TYPES = ("F32", "F16", "BF16")
ROOTS = ("model.", "")
"""Before the names of the tensors: a base model without a head has no prefix."""


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
    family, sizes = config.family, _sizes(config)
    root = next((root for root in ROOTS if f"{root}embed_tokens.weight" in entries), ROOTS[0])
    embedding, vocabulary = root + "embed_tokens.weight", config.size("vocab_size")
    norm = _Norms(family)
    return Decoder(
        model_type=config.model_type,
        vocabulary=vocabulary,
        hidden=sizes.hidden,
        heads=sizes.heads,
        mlp=sizes.mlp,
        norm="rms" if family.norm == "rms" else "layer",
        norm_epsilon=config.number(family.epsilon.name, family.epsilon.default),
        activation=activation_of(config),
        gated=family.gated,
        max_positions=longest_context(config),
        embedding=embedding,
        positions=None,
        layers=_llama_layers(config, entries, root, sizes),
        final_norm=norm(root + family.names.final_norm),
        head=_head(config, entries, embedding, sizes.hidden, vocabulary),
        norms_projections=family.head_norm == "projection",
        rope_before_norm=family.rope_first,
        parallel=family.parallel,
        attention_scale=_attention_scale(config),
        query_scale=position_scale(config),
        softcap=config.scale(family.softcap),
        per_layer_inputs=read_per_layer_inputs(config, root) if family.per_layer_inputs else None,
        embedding_scale=_embedding_scale(config, sizes.hidden),
        residual_scale=config.scale(family.residual_scale) or 1.0,
        logit_scale=(config.scale(family.logit_factor) or 1.0) / (config.scale(family.logit_divisor) or 1.0),
        logit_softcap=config.scale(family.logit_softcap),
    )


@dataclass(frozen=True)
class _Sizes:
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    mlp: int


def _sizes(config: Config) -> _Sizes:
    family, hidden = config.family, config.size("hidden_size")
    heads = config.size("num_attention_heads")
    default = heads if "num_key_value_heads" in config.data else family.kv_heads or heads
    kv_heads = config.size("num_key_value_heads", default)
    head_dim = head_dim_of(config)
    if heads % kv_heads:
        raise broken(f"num_attention_heads ({heads}) is not a multiple of num_key_value_heads ({kv_heads})")
    if head_dim % 2:
        raise broken(f"RoPE needs an even head_dim and it is {head_dim}")
    return _Sizes(hidden, heads, kv_heads, head_dim, config.size(family.mlp_size))


def head_dim_of(config: Config, layer_type: str = "sliding_attention") -> int:
    """Return the width of a head in layers of a type.

    Raises:
        EngineError: `broken-config`.
    """
    if config.family.per_layer_inputs and layer_type == "full_attention":
        return config.size("global_head_dim", 512)
    if config.data.get("head_dim") is None and config.family.head_dim is None:
        return _divide(config.size("hidden_size"), config.size("num_attention_heads"), "hidden_size")
    return config.size("head_dim", config.family.head_dim)


def _attention_scale(config: Config) -> float | None:
    scalar = config.scale(config.family.query_scalar)
    return config.scale(config.family.attention_scale) if scalar is None else scalar**-0.5


def _embedding_scale(config: Config, hidden: int) -> float:
    return (
        hidden**0.5 if config.family.scales_by_width else config.scale(config.family.embedding_scale) or 1.0
    )


@dataclass(frozen=True)
class _Norms:
    """Names the tensors of a norm."""

    family: Family

    def __call__(self, name: str) -> Norm:
        if self.family.norm == "plain":
            return Norm(None)
        bias = f"{name}.bias" if self.family.norm == "layer" else None
        return Norm(f"{name}.weight", bias, self.family.norm_offset)

    def optional(self, name: str, part: str | None) -> Norm | None:
        return None if part is None else self(name + part)


def _llama_layers(config: Config, entries: Entries, root: str, sizes: _Sizes) -> tuple[Layer, ...]:
    count = _layer_count(config, "num_hidden_layers", entries)
    types = layer_types(config, count)
    sized = {kind: replace(sizes, head_dim=head_dim_of(config, kind)) for kind in set(types)}
    ropes = {kind: read_rope(config, sized[kind].head_dim, kind) for kind in sized}
    windows, rotates = read_windows(config, types), rotating_layers(config, count)
    layers = (_llama_layer(config, f"{root}layers.{index}.", sized[kind]) for index, kind in enumerate(types))
    found = tuple(
        replace(layer, rope=ropes[kind] if rotated else None, window=window)
        for layer, kind, rotated, window in zip(layers, types, rotates, windows, strict=True)
    )
    return with_layer_inputs(config, root, types, found) if config.family.per_layer_inputs else found


def _llama_layer(config: Config, name: str, sizes: _Sizes) -> Layer:
    family, names, norm = config.family, config.family.names, _Norms(config.family)

    def linear(part: str, inputs: int, outputs: int, bias: Flag | bool) -> Linear:
        return Linear(
            f"{name}{part}.weight", inputs, outputs, f"{name}{part}.bias" if config.decide(bias) else None
        )

    query, key = sizes.heads * sizes.head_dim, sizes.kv_heads * sizes.head_dim
    widths = [query, key, key] if len(names.attention_in) == 3 else [query + 2 * key]
    halves = 1 + family.gated
    inner = [sizes.mlp * halves // len(names.mlp_in)] * len(names.mlp_in)
    has_head_norms = family.head_norm is not None
    return Layer(
        attention_norm=norm.optional(name, names.attention_norm),
        attention_in=tuple(
            linear(part, sizes.hidden, width, family.qkv_bias)
            for part, width in zip(names.attention_in, widths, strict=True)
        ),
        head_dim=sizes.head_dim,
        kv_heads=sizes.kv_heads,
        value_norm=Norm(None) if family.value_norm else None,
        query_norm=norm(name + names.query_norm) if has_head_norms else None,
        key_norm=norm(name + names.key_norm) if has_head_norms else None,
        attention_out=linear(names.attention_out, query, sizes.hidden, family.output_bias),
        attention_out_norm=norm.optional(name, names.attention_out_norm),
        mlp_norm=None if family.parallel else norm.optional(name, names.mlp_norm),
        mlp_in=tuple(
            linear(part, sizes.hidden, width, family.mlp_bias)
            for part, width in zip(names.mlp_in, inner, strict=True)
        ),
        mlp_out=linear(names.mlp_out, sizes.mlp, sizes.hidden, family.mlp_bias),
        mlp_out_norm=norm.optional(name, names.mlp_out_norm),
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
        mlp=mlp,
        norm="layer",
        norm_epsilon=config.number(config.family.epsilon.name, config.family.epsilon.default),
        activation=activation_of(config),
        gated=False,
        max_positions=config.size("n_positions", 1024),
        embedding=root + "wte.weight",
        positions=root + "wpe.weight",
        layers=tuple(_gpt2_layer(f"{root}h.{index}.", hidden, mlp, head_dim) for index in layers),
        final_norm=Norm(root + "ln_f.weight", root + "ln_f.bias"),
        head=_head(config, entries, root + "wte.weight", hidden, vocabulary),
    )


def _gpt2_layer(name: str, hidden: int, mlp: int, head_dim: int) -> Layer:
    def linear(part: str, inputs: int, outputs: int) -> Linear:
        return Linear(f"{name}{part}.weight", inputs, outputs, f"{name}{part}.bias", transposed=True)

    return Layer(
        attention_norm=Norm(name + "ln_1.weight", name + "ln_1.bias"),
        attention_in=(linear("attn.c_attn", hidden, 3 * hidden),),
        attention_out=linear("attn.c_proj", hidden, hidden),
        head_dim=head_dim,
        kv_heads=hidden // head_dim,
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
    tied = config.flag("tie_word_embeddings", config.family.tied) and "lm_head.weight" not in entries
    bias = "lm_head.bias" if config.family.head_bias else None
    return Linear(embedding if tied else "lm_head.weight", hidden, vocabulary, bias)


def _expected_shapes(decoder: Decoder) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of the decoder, by name."""
    hidden = decoder.hidden
    shapes: dict[str, tuple[int, ...]] = {decoder.embedding: (decoder.vocabulary, hidden)}
    if decoder.positions is not None:
        shapes[decoder.positions] = (decoder.max_positions, hidden)
    for linear in decoder.linears:
        shape = (linear.outputs, linear.inputs)
        shapes[linear.weight] = shape[::-1] if linear.transposed else shape
        if linear.bias is not None:
            shapes[linear.bias] = (linear.outputs,)
    norms = [(decoder.final_norm, hidden)]
    heads = {"query": decoder.heads, "key": decoder.kv_heads} if decoder.norms_projections else {}
    for layer in decoder.layers:
        norms += [(norm, hidden) for norm in layer.norms]
        for name, norm in (("query", layer.query_norm), ("key", layer.key_norm)):
            if norm is not None:
                norms.append((norm, layer.head_dim * heads.get(name, 1)))
        if layer.own_input is not None:
            shapes[layer.own_input.scale] = (1,)
    if (own := decoder.per_layer_inputs) is not None:
        shapes[own.table] = (decoder.vocabulary, len(decoder.layers) * own.width)
        norms.append((own.norm, own.width))
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
    inside = decoder.layers[0].attention_out.weight.partition("0.")[0]
    ignored = (*_BUFFERS, *(f"{inside}{end}" for end in unread_keys(decoder)))
    for name in entries:
        if name.startswith(inside) and name not in shapes and not name.endswith(ignored):
            raise unsupported(f"the tensor {name}, which {decoder.model_type} is not known to have")
