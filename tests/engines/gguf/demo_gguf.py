"""Write the demo checkpoint as a GGUF file with its tokenizer and chat template, as users have them."""

from __future__ import annotations

from pathlib import Path

import gguf

from engines.backends.llama_cpp.gguf_file import add_fields
from engines.backends.llama_cpp.gguf_tensors import FORMATS, file_tensors
from engines.demo import CHECKPOINT
from engines.plan.checkpoint.tensors import tensor_entries
from engines.plan.decoder.decoder import read_decoder
from engines.plan.decoder.gguf_families import gguf_family
from engines.weights.reader import WeightReader
from tests.engines.gguf.tiny_gguf import add_demo_tokenizer


def write_demo_gguf(file: Path, precision: str = "q4_0") -> Path:
    """Write the demo's weights, and return the file.

    Args:
        file: its folder is created if it does not exist.
        precision: a name of FORMATS.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    decoder, form = read_decoder(CHECKPOINT), FORMATS[precision]
    family = gguf_family(decoder.model_type)
    writer = gguf.GGUFWriter(file, family.architecture)
    writer.add_name("Demo")
    writer.add_file_type(form.file_type)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    add_fields(writer, decoder)
    assert add_demo_tokenizer(writer) == decoder.vocabulary
    reader = WeightReader(tensor_entries(CHECKPOINT), lambda _: None)
    for tensor in file_tensors(decoder, family, reader, form, {}):
        writer.add_tensor(
            tensor.name,
            tensor.data().reshape(tensor.byte_shape),
            raw_shape=tensor.byte_shape,
            raw_dtype=tensor.type,
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file
