"""The tensors of a decoder with the names, order of rows and types that llama.cpp expects."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import gguf
import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType as Type

from engines.backends.llama_cpp.quantise import quantise
from engines.plan.decoder.decoder import Decoder, Layer, Linear, Norm, Rope
from engines.plan.decoder.decoder_config import unsupported
from engines.plan.decoder.gguf_families import GgufFamily, theta_of
from engines.weights.reader import Floats, WeightReader

PLAIN_THETA = 10_000.0
"""RoPE's base where the frequencies are no powers of one number: the file then has factors of them."""


@dataclass(frozen=True)
class Format:
    """How the weights of a precision are stored."""

    matrices: Type
    tables: Type
    """Of input embedding and head."""
    file_type: gguf.LlamaFileType
    mixed: bool = False
    """Whether some tensors have more bits, as in llama.cpp's mixture of this name."""


FORMATS = {
    "fp32": Format(Type.F32, Type.F32, gguf.LlamaFileType.ALL_F32),
    "bf16": Format(Type.BF16, Type.BF16, gguf.LlamaFileType.MOSTLY_BF16),
    "fp16": Format(Type.F16, Type.F16, gguf.LlamaFileType.MOSTLY_F16),
    "q8_0": Format(Type.Q8_0, Type.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
    "q4_0": Format(Type.Q4_0, Type.Q8_0, gguf.LlamaFileType.MOSTLY_Q4_0),
    "q4_k_m": Format(Type.Q4_K, Type.Q6_K, gguf.LlamaFileType.MOSTLY_Q4_K_M, mixed=True),
}
SMALLER_BLOCKS = {Type.Q4_K: Type.Q5_0, Type.Q5_K: Type.Q5_1, Type.Q6_K: Type.Q8_0}
"""For rows that are no whole number of 256 values; llama.cpp's tool takes the same."""


@dataclass(frozen=True)
class FileTensor:
    """A tensor of the file, not yet read."""

    name: str
    shape: tuple[int, ...]
    """Of the values, row-major."""
    type: Type
    rows: Callable[[], Iterator[Floats]]
    """Yields its values in fp32, some rows at a time."""
    importance: Floats | None = None
    """How much the error of each input's weights counts; None: all the same."""

    @property
    def byte_shape(self) -> tuple[int, ...]:
        """Return its shape in bytes: the last axis is the bytes of a row."""
        return tuple(gguf.quant_shape_to_byte_shape(self.shape, self.type))

    @property
    def size(self) -> int:
        """Return its bytes."""
        return math.prod(self.byte_shape)

    def data(self) -> npt.NDArray[np.uint8]:
        """Read it, and return its bytes."""
        parts = [quantise(rows, self.type, self.importance) for rows in self.rows()]
        return np.concatenate(parts) if len(parts) > 1 else parts[0]


def file_tensors(
    decoder: Decoder,
    family: GgufFamily,
    reader: WeightReader,
    form: Format,
    importance: Mapping[str, Floats],
) -> list[FileTensor]:
    """Return all tensors of the decoder, in the order of its layers.

    Args:
        importance: of `importance_of`; weights that it lacks are rounded without.

    Raises:
        EngineError: `unsupported-architecture`: a tensor has no name in GGUF files.
    """
    return list(_Tensors(decoder, family, reader, form, importance).all())


def rope_of(decoder: Decoder) -> Rope:
    """Return the RoPE of the layers that have one; it is the same in all of them."""
    return next(layer.rope for layer in decoder.layers if layer.rope is not None)


class _Tensors:
    def __init__(
        self,
        decoder: Decoder,
        family: GgufFamily,
        reader: WeightReader,
        form: Format,
        importance: Mapping[str, Floats],
    ) -> None:
        self._importance = importance
        self._decoder, self._family, self._reader, self._form = decoder, family, reader, form
        architecture = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == family.architecture)
        self._names = gguf.get_tensor_name_map(architecture, len(decoder.layers))

    def all(self) -> Iterator[FileTensor]:
        decoder = self._decoder
        table = Linear(decoder.embedding, decoder.hidden, decoder.vocabulary)
        # Of a mixture the input embedding has the bits of the head only where it is the head too.
        form = self._form
        yield self._matrix(table, form.matrices if form.mixed and not decoder.tied else form.tables)
        for layer in decoder.layers:
            yield from self._layer(layer)
        yield from self._norm(decoder.final_norm)
        if not decoder.tied:
            yield from self._linear(decoder.head, self._form.tables)
        yield from self._rope_factors()

    def _layer(self, layer: Layer) -> Iterator[FileTensor]:
        for norm in (*layer.norms, layer.query_norm, layer.key_norm):
            if norm is not None:
                yield from self._norm(norm)
        heads = [self._decoder.heads, self._decoder.kv_heads] if self._family.interleaved else []
        for place, linear in enumerate(layer.linears):
            yield from self._linear(linear, self._form.matrices, heads[place] if place < len(heads) else None)

    def _linear(self, linear: Linear, kind: Type, turned: int | None = None) -> Iterator[FileTensor]:
        yield self._matrix(linear, kind, turned)
        if linear.bias is not None:
            yield self._vector(linear.bias, turned=turned)

    def _norm(self, norm: Norm) -> Iterator[FileTensor]:
        if norm.weight is not None:
            yield self._vector(norm.weight, norm.offset)
        if norm.bias is not None:
            yield self._vector(norm.bias)

    def _matrix(self, linear: Linear, kind: Type, turned: int | None = None) -> FileTensor:
        """Return a weight.

        Args:
            turned: the number of heads whose rows are moved for RoPE.
        """
        name = self._name(linear.weight)
        kind = _fitting(self._mixed(name, kind), linear.inputs)

        def rows() -> Iterator[Floats]:
            if turned is not None:
                yield _neighbours(self._reader.rows(linear), turned)
            else:
                yield from (part for _, part in self._reader.chunks(linear))

        importance = self._importance.get(linear.weight)
        return FileTensor(name, (linear.outputs, linear.inputs), kind, rows, importance)

    def _mixed(self, name: str, kind: Type) -> Type:
        """Return the type of a tensor in llama.cpp's mixture Q4_K_M; `kind` in other formats."""
        _, number, *rest = name.split(".")
        part = rest[0] if rest and self._form.mixed else ""
        if part == "attn_qkv":
            return Type.Q5_K
        more = part in ("attn_v", "ffn_down") and _has_more_bits(int(number), len(self._decoder.layers))
        return Type.Q6_K if more else kind

    def _vector(self, name: str, offset: float = 0.0, turned: int | None = None) -> FileTensor:
        def rows() -> Iterator[Floats]:
            values = self._reader.tensor(name) + np.float32(offset)
            yield values if turned is None else _neighbours(values, turned)

        return FileTensor(self._name(name), self._reader.entries[name].shape, Type.F32, rows)

    def _rope_factors(self) -> Iterator[FileTensor]:
        rope = rope_of(self._decoder)
        if theta_of(rope) is None:
            count = len(rope.frequencies)
            plain = PLAIN_THETA ** (-np.arange(count) / count)
            factors = (plain / np.array(rope.frequencies)).astype(np.float32)
            yield FileTensor("rope_freqs.weight", (count,), Type.F32, lambda: iter([factors]))

    def _name(self, name: str) -> str:
        full = name if name.startswith(("model.", "lm_head.")) else f"model.{name}"
        found = self._names.get_name(full, try_suffixes=(".weight", ".bias"))
        if found is None:
            raise unsupported(f"the tensor {name}, which has no name in GGUF files")
        return str(found)


def _has_more_bits(layer: int, layers: int) -> bool:
    """Return whether sensitive tensors of a layer have more bits: at both ends, and every third between."""
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2


def _fitting(kind: Type, inputs: int) -> Type:
    """Return the type, or what llama.cpp's own tool takes for rows that are no whole number of its blocks."""
    for one in (kind, SMALLER_BLOCKS.get(kind, kind)):
        if inputs % gguf.GGML_QUANT_SIZES[one][0] == 0:
            return one
    return Type.F16


def _neighbours(values: Floats, heads: int) -> Floats:
    """Return rows with the two halves of each head alternating, as RoPE of neighbours turns them."""
    halves = values.reshape(heads, 2, len(values) // heads // 2, *values.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(values.shape))
