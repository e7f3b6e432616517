"""GGUF files that strangers may have made: each is `good` with one thing wrong."""

from __future__ import annotations

import struct
from dataclasses import replace

from tests.engines.gguf.raw_gguf import HIDDEN, TOKENS, Tensor, good

LARGE = (1 << 64) - 1
_GOOD = good()
_NORM, _TABLE = "output_norm.weight", "token_embd.weight"


def _array(kind: int, count: int) -> tuple[str, bytes]:
    """Return the value of a field: an array that claims `count` elements and has none."""
    return "raw", struct.pack("<IIQ", 9, kind, count)


def _field(key: str, kind: str, value: object) -> bytes:
    return _GOOD.with_field(key, kind, value).to_bytes()


def _tensor(name: str, tensor: Tensor) -> bytes:
    return _GOOD.with_tensor(name, tensor).to_bytes()


def _changed(**changes: object) -> bytes:
    return replace(_GOOD, **changes).to_bytes()  # type: ignore[arg-type]


def _without(*keys: str) -> bytes:
    return _GOOD.without(*keys).to_bytes()


_BYTES = _GOOD.to_bytes()
_FIELD = struct.pack("<Q", 4) + b"more"
"""The name of one more field."""

HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "it is empty"),
    "three bytes": (b"GGU", "cut off in its header"),
    "only the magic": (b"GGUF", "cut off in its header"),
    "no GGUF": (b"PK\3\4" + bytes(100), "does not begin as a GGUF file does"),
    "older than GGUF": (b"ggjt" + bytes(100), "older than GGUF"),
    "version 1": (_changed(version=1), "version 1"),
    "version of the future": (_changed(version=9), "version 9"),
    "big-endian": (_changed(order=">"), "big-endian"),
    "a git-lfs pointer": (b"version https://git-lfs.github.com/spec/v1\noid", "pointer of git-lfs"),
    "2^64 fields": (_changed(field_count=LARGE), "fields of metadata"),
    "a million fields": (_changed(field_count=1_000_000), "fields of metadata"),
    "one field too many": (_changed(field_count=len(_GOOD.fields) + 9), "is damaged"),
    "2^64 tensors": (_changed(tensor_count=LARGE), "tensors"),
    "more tensors than fit": (_changed(tensor_count=50_000), "claims 50,000 tensors"),
    "cut off in the metadata": (_BYTES[:200], "cut off in its header"),
    "cut off in the tensors": (_BYTES[:-64], "does not fit the file, which may be cut off"),
    "a text of 2^64 bytes": (_field("a", "raw", struct.pack("<IQ", 8, LARGE)), "claims 18,446"),
    "a text of 90 MB": (_field("a", "raw", struct.pack("<IQ", 8, 90_000_000)), "cut off in its header"),
    "a name of 2^63 bytes": (
        _changed(field_count=len(_GOOD.fields) + 1, more_fields=struct.pack("<Q", 1 << 63)),
        "the name of a field has",
    ),
    "an empty name": (
        _changed(field_count=len(_GOOD.fields) + 1, more_fields=bytes(40)),
        "the name of a field has 0 bytes",
    ),
    "a name that is no text": (
        _changed(
            field_count=len(_GOOD.fields) + 1,
            more_fields=struct.pack("<Q", 2) + b"\xff\xfe" + struct.pack("<IB", 0, 1),
        ),
        "not UTF-8",
    ),
    "a name twice": (
        _changed(
            field_count=len(_GOOD.fields) + 2,
            more_fields=2 * (_FIELD + struct.pack("<IB", 0, 1)),
        ),
        "two fields named 'more'",
    ),
    "an unknown type": (_field("a", "raw", struct.pack("<I", 77)), "unknown type 77"),
    "an array of 2^64": (_field("a", *_array(4, LARGE)), "claims 18,446"),
    "an array of a billion texts": (_field("a", *_array(8, 10**9)), "claims 1,000,000,000 elements"),
    "an array of arrays": (_field("a", *_array(9, 1)), "array of arrays"),
    "an array of an unknown type": (_field("a", *_array(99, 1)), "unknown type 99"),
    "alignment 0": (_field("general.alignment", "u32", 0), "its alignment is 0"),
    "alignment 33": (_field("general.alignment", "u32", 33), "its alignment is 33"),
    "alignment of 2 GB": (_field("general.alignment", "u32", 1 << 31), "its alignment is"),
    "alignment a text": (_field("general.alignment", "text", "x"), "its alignment is x"),
    "a tensor of 9 dimensions": (_tensor(_NORM, Tensor((1,) * 9, size=32)), "has 9 dimensions"),
    "a tensor of 2^32 dimensions": (_tensor(_NORM, Tensor((HIDDEN,), dimensions=2**32 - 1)), "dimensions"),
    "a tensor without values": (_tensor(_NORM, Tensor((0, 5), size=0)), "has the shape [0, 5]"),
    "a shape that overflows": (_tensor(_NORM, Tensor((1 << 40, 1 << 40), size=32)), "has the shape"),
    "a size of 2^64": (_tensor(_NORM, Tensor((LARGE,), size=32)), "has the shape"),
    "an unknown tensor type": (_tensor(_NORM, Tensor((HIDDEN,), kind=1234)), "has the type 1,234"),
    "a type that was removed": (_tensor(_NORM, Tensor((HIDDEN,), kind=4)), "has the type 4"),
    "half a block": (_tensor(_NORM, Tensor((HIDDEN,), kind=12)), "no blocks of 256"),
    "a place outside": (_tensor(_NORM, Tensor((HIDDEN,), offset=1 << 50)), "does not fit the file"),
    "a place of 2^64": (_tensor(_NORM, Tensor((HIDDEN,), offset=LARGE - 31)), "does not fit the file"),
    "a place that is not aligned": (_tensor(_NORM, Tensor((HIDDEN,), offset=7)), "not aligned"),
    "tensors overlap": (_tensor(_NORM, Tensor((HIDDEN,), offset=0)), "overlap"),
    "a tensor's name of 100 bytes": (_tensor("x" * 100, Tensor((HIDDEN,))), "name of a tensor has 100"),
    "no tensors": (_changed(tensors={}), "a vocabulary and no weights"),
    "no embedding": (
        _changed(tensors={"a": Tensor((HIDDEN,)), "b": Tensor((HIDDEN,))}),
        "has no tensor token_embd.weight",
    ),
    "another vocabulary": (_tensor(_TABLE, Tensor((HIDDEN, 99))), "has the shape [32, 99]"),
    "another width": (_tensor(_TABLE, Tensor((64, len(TOKENS)))), "has the shape [64, 16]"),
    "no architecture": (_without("general.architecture"), "name no architecture"),
    "an architecture with escapes": (
        _field("general.architecture", "text", "\x1b[31mllama"),
        "name no architecture",
    ),
    "an embedding model": (good("bert").to_bytes(), "a model for embeddings"),
    "a projector": (good("clip").to_bytes(), "reads images"),
    "an adapter": (_field("general.type", "text", "adapter"), "a LoRA adapter"),
    "no layers": (_field("llama.block_count", "u32", 0), "llama.block_count is '0'"),
    "a million layers": (_field("llama.block_count", "u32", 10**6), "llama.block_count is '1000000'"),
    "more layers than tensors": (_field("llama.block_count", "u32", 500), "claims 500 layers"),
    "layers as a text": (_field("llama.block_count", "text", "1"), "llama.block_count is '1'"),
    "no width": (_without("llama.embedding_length"), "no llama.embedding_length"),
    "a negative width": (_field("llama.embedding_length", "i32", -1), "llama.embedding_length is '-1'"),
    "2^32 heads": (_field("llama.attention.head_count", "u32", 2**32 - 1), "head_count is"),
    "heads of no layer": (_field("llama.attention.head_count", "[u32]", []), "0 values for 1 layers"),
    "epsilon NaN": (
        _field("llama.attention.layer_norm_rms_epsilon", "f32", float("nan")),
        "rms_norm_eps is NaN",
    ),
    "RoPE of infinity": (_field("llama.rope.freq_base", "f32", float("inf")), "rope_theta is 'inf'"),
    "context 2^63": (_field("llama.context_length", "u64", 1 << 63), "max_position_embeddings is"),
    "no tokenizer": (_without("tokenizer.ggml.model"), "it has no tokens"),
    "no tokens": (_field("tokenizer.ggml.tokens", "[text]", []), "is damaged"),
    "an unknown tokenizer": (_field("tokenizer.ggml.model", "text", "rwkv"), "of the kind 'rwkv'"),
    "an unknown rule": (_field("tokenizer.ggml.pre", "text", "of-tomorrow"), "the rule 'of-tomorrow'"),
    "a template of 2 MB": (_field("tokenizer.chat_template", "text", "x" * 2_000_000), "is too large"),
    "a template as a number": (_field("tokenizer.chat_template", "u32", 7), "no text"),
    "a part without the others": (_field("split.count", "u16", 3), "is one of 3 parts"),
    "a part of 65,535": (_field("split.count", "u16", 65_535), "one of 65535 parts"),
}
"""By name: the file, and words of the message that refuses it."""

LATER: dict[str, tuple[bytes, str]] = {
    "a token twice": (_field("tokenizer.ggml.tokens", "[text]", ["a"] * len(TOKENS)), "the same token twice"),
    "a merge of one token": (_field("tokenizer.ggml.merges", "[text]", ["a"]), "not a merge of two tokens"),
    "a merge of unknown tokens": (_field("tokenizer.ggml.merges", "[text]", ["x yz"]), "cannot be read"),
    "no scores": (_field("tokenizer.ggml.model", "text", "llama"), "16 tokens and 0 scores"),
}
"""What only the worker finds, because the header alone does not show it."""
