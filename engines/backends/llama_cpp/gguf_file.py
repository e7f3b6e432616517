"""Write a GGUF file from our description of a decoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import gguf
import numpy as np

from engines.backends.llama_cpp.gguf_tensors import FORMATS, PLAIN_THETA, file_tensors, rope_of
from engines.plan.decoder.decoder import Decoder
from engines.plan.decoder.gguf_families import check_rope, gguf_family, theta_of
from engines.weights.reader import Floats, WeightReader


def write_gguf(
    decoder: Decoder,
    reader: WeightReader,
    file: Path,
    precision: str,
    importance: Mapping[str, Floats] = MappingProxyType({}),
) -> None:
    """Write the decoder to `file`, one tensor at a time.

    The text of each token is its number: the worker's tokenizer makes the ids, and llama.cpp withholds the
    tokens of an incomplete character, which a number never is.

    Args:
        precision: a name of FORMATS.
        importance: of `importance_of`; weights that it lacks are rounded without.

    Raises:
        EngineError: `unsupported-architecture`, `unsupported-precision` or `broken-weights`.
    """
    family, form = gguf_family(decoder.model_type), FORMATS[precision]
    check_rope(family, rope_of(decoder), decoder.head_dim)
    writer = gguf.GGUFWriter(file, family.architecture)
    add_fields(writer, decoder)
    writer.add_file_type(form.file_type)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    _add_vocabulary(writer, decoder.vocabulary)
    tensors = file_tensors(decoder, family, reader, form, importance)
    for tensor in tensors:
        bytes_type = np.dtype(np.uint8)
        writer.add_tensor_info(tensor.name, tensor.byte_shape, bytes_type, tensor.size, raw_dtype=tensor.type)
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        assert writer.fout is not None
        [out] = writer.fout
        writer.write_padding(out, out.tell())
        for tensor in tensors:
            # Not with the writer's own function, whose error of a full disk does not say that it is one.
            out.write(tensor.data().data)
            writer.write_padding(out, tensor.size)
    finally:
        writer.close()


def add_fields(writer: Any, decoder: Decoder) -> None:
    """Write the decoder's sizes and constants to the metadata."""
    writer.add_vocab_size(decoder.vocabulary)
    writer.add_context_length(decoder.max_positions)
    writer.add_embedding_length(decoder.hidden)
    writer.add_feed_forward_length(decoder.mlp)
    writer.add_block_count(len(decoder.layers))
    writer.add_head_count(decoder.heads)
    writer.add_head_count_kv(decoder.kv_heads)
    writer.add_key_length(decoder.head_dim)
    writer.add_value_length(decoder.head_dim)
    if decoder.norm == "rms":
        writer.add_layer_norm_rms_eps(decoder.norm_epsilon)
    else:
        writer.add_layer_norm_eps(decoder.norm_epsilon)
    rope = rope_of(decoder)
    writer.add_rope_dimension_count(rope.width)
    writer.add_rope_freq_base(theta_of(rope) or PLAIN_THETA)
    if decoder.model_type == "granite":
        writer.add_attention_scale(decoder.attention_scale or decoder.head_dim**-0.5)
        writer.add_embedding_scale(decoder.embedding_scale)
        writer.add_residual_scale(decoder.residual_scale)
        writer.add_logit_scale(1 / decoder.logit_scale)


def _add_vocabulary(writer: Any, size: int) -> None:
    # Of the kinds of vocabulary this one has no end-of-sequence token unless the file names one.
    writer.add_tokenizer_model("bert")
    writer.add_token_list([str(number) for number in range(size)])
    writer.add_token_types([int(gguf.TokenType.NORMAL)] * size)
