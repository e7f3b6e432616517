"""Write GGUF files byte by byte: also those that the package `gguf` would not write."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

KINDS = {"u8": 0, "i8": 1, "u16": 2, "i16": 3, "u32": 4, "i32": 5, "f32": 6, "bool": 7, "u64": 10, "f64": 12}
FORMS = {"u8": "B", "i8": "b", "u16": "H", "i16": "h", "u32": "I", "i32": "i", "f32": "f", "bool": "?"}
FORMS |= {"u64": "Q", "f64": "d"}
TOKENS = [chr(97 + number) for number in range(16)]
HIDDEN = 32
TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"

Field = tuple[str, Any]
"""A kind of KINDS, `text`, `[KIND]`, or `raw` for bytes; and the value."""


@dataclass(frozen=True)
class Tensor:
    """A tensor; what is None follows from the rest."""

    shape: tuple[int, ...]
    kind: int = 0
    """F32."""
    size: int | None = None
    offset: int | None = None
    dimensions: int | None = None


@dataclass(frozen=True)
class RawGguf:
    """A file that a test changes in one place."""

    fields: Mapping[str, Field]
    tensors: Mapping[str, Tensor]
    magic: bytes = b"GGUF"
    version: int = 3
    field_count: int | None = None
    tensor_count: int | None = None
    order: str = "<"
    more_fields: bytes = b""
    more_tensors: bytes = b""
    data: bytes | None = field(default=None, repr=False)

    def with_field(self, key: str, kind: str, value: Any) -> RawGguf:
        """Return the file with a field replaced or added."""
        return replace(self, fields={**self.fields, key: (kind, value)})

    def without(self, *keys: str) -> RawGguf:
        """Return the file without some fields."""
        return replace(self, fields={key: one for key, one in self.fields.items() if key not in keys})

    def with_tensor(self, name: str, tensor: Tensor) -> RawGguf:
        """Return the file with a tensor replaced or added."""
        return replace(self, tensors={**self.tensors, name: tensor})

    def to_bytes(self) -> bytes:
        """Return the file."""
        counts = (
            len(self.tensors) if self.tensor_count is None else self.tensor_count,
            len(self.fields) if self.field_count is None else self.field_count,
        )
        head = self.magic + struct.pack(f"{self.order}IQQ", self.version, *counts)
        head += b"".join(_text(key) + _value(*one) for key, one in self.fields.items()) + self.more_fields
        place = 0
        for name, tensor in self.tensors.items():
            head += _text(name) + _entry(tensor, place)
            place += -(-_size(tensor) // 32) * 32
        head += self.more_tensors
        data = bytes(place) if self.data is None else self.data
        return head + bytes(-len(head) % 32) + data


def good(architecture: str = "llama") -> RawGguf:
    """Return a file of a tiny model that is accepted."""
    fields: dict[str, Field] = {
        "general.architecture": ("text", architecture),
        "general.file_type": ("u32", 0),
        f"{architecture}.block_count": ("u32", 1),
        f"{architecture}.context_length": ("u32", 64),
        f"{architecture}.embedding_length": ("u32", HIDDEN),
        f"{architecture}.feed_forward_length": ("u32", 64),
        f"{architecture}.attention.head_count": ("u32", 4),
        f"{architecture}.attention.head_count_kv": ("u32", 2),
        f"{architecture}.attention.layer_norm_rms_epsilon": ("f32", 1e-5),
        "tokenizer.ggml.model": ("text", "gpt2"),
        "tokenizer.ggml.pre": ("text", "gpt-2"),
        "tokenizer.ggml.tokens": ("[text]", TOKENS),
        "tokenizer.ggml.token_type": ("[i32]", [1] * len(TOKENS)),
        "tokenizer.ggml.merges": ("[text]", []),
        "tokenizer.ggml.eos_token_id": ("u32", 1),
        "tokenizer.chat_template": ("text", TEMPLATE),
    }
    tensors = {
        "token_embd.weight": Tensor((HIDDEN, len(TOKENS))),
        "blk.0.attn_norm.weight": Tensor((HIDDEN,)),
        "output_norm.weight": Tensor((HIDDEN,)),
    }
    return RawGguf(fields, tensors)


def _entry(tensor: Tensor, place: int) -> bytes:
    dimensions = len(tensor.shape) if tensor.dimensions is None else tensor.dimensions
    sizes = b"".join(struct.pack("<Q", size) for size in tensor.shape)
    offset = place if tensor.offset is None else tensor.offset
    return struct.pack("<I", dimensions) + sizes + struct.pack("<IQ", tensor.kind, offset)


def _size(tensor: Tensor) -> int:
    if tensor.size is not None:
        return tensor.size
    size = 4
    for one in tensor.shape:
        size *= one
    return size


def _value(kind: str, value: Any) -> bytes:
    if kind == "raw":
        return bytes(value)
    if kind == "text":
        return struct.pack("<I", 8) + _text(value)
    if kind.startswith("["):
        return struct.pack("<I", 9) + _array(kind[1:-1], value)
    return struct.pack(f"<I{FORMS[kind]}", KINDS[kind], value)


def _array(kind: str, values: Iterable[Any]) -> bytes:
    items = list(values)
    if kind == "text":
        return struct.pack("<IQ", 8, len(items)) + b"".join(map(_text, items))
    return struct.pack(f"<IQ{len(items)}{FORMS[kind]}", KINDS[kind], len(items), *items)


def _text(text: str | bytes) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(data)) + data
