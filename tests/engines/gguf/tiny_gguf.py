"""Write tiny GGUF files: a Llama with random weights and the demo's tokenizer and chat template."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as TensorType

from engines.demo import CHECKPOINT
from engines.plan.checkpoint.chat_template import read_chat_template

LAYERS, HIDDEN, HEADS, KV_HEADS, INTERMEDIATE, CONTEXT = 2, 128, 4, 2, 256, 2048
VOCABULARY = 4096
FILE_TYPES = {
    TensorType.F32: gguf.LlamaFileType.ALL_F32,
    TensorType.F16: gguf.LlamaFileType.MOSTLY_F16,
    TensorType.BF16: gguf.LlamaFileType.MOSTLY_BF16,
    TensorType.Q8_0: gguf.LlamaFileType.MOSTLY_Q8_0,
    TensorType.Q4_0: gguf.LlamaFileType.MOSTLY_Q4_0,
}


def write_tiny_gguf(
    file: Path,
    *,
    name: str = "Tiny",
    layers: int = LAYERS,
    matrices: TensorType = TensorType.F32,
    template: bool = True,
    tokenizer: bool = True,
    tensors_per_file: int = 0,
    seed: int = 0,
) -> Path:
    """Write a random Llama with the demo's tokenizer, and return its file, or the first of several parts.

    Args:
        file: its folder is created if it does not exist.
        name: what the metadata call the model.
        matrices: type of the weight matrices, a key of FILE_TYPES; norms are F32.
        template: whether the demo's chat template is in the metadata.
        tokenizer: whether there is a tokenizer in it.
        tensors_per_file: largest number of tensors in one part; 0 for one file.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(file, "llama", split_max_tensors=tensors_per_file)
    writer.add_name(name)
    writer.add_file_type(FILE_TYPES[matrices])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    _add_shape(writer, layers)
    if tokenizer:
        add_demo_tokenizer(writer, template=template)
    for tensor, values in random_llama(layers, seed).items():
        if values.ndim == 1 or matrices == TensorType.F32:
            writer.add_tensor(tensor, values)
        elif matrices == TensorType.F16:
            writer.add_tensor(tensor, values.astype(np.float16))
        else:
            writer.add_tensor(tensor, gguf.quants.quantize(values, matrices), raw_dtype=matrices)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    if not tensors_per_file:
        return file
    return sorted(file.parent.glob(f"{file.stem}-00001-of-*{file.suffix}"))[0]


def _add_shape(writer: gguf.GGUFWriter, layers: int) -> None:
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(INTERMEDIATE)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_rope_freq_base(10_000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(VOCABULARY)


def add_demo_tokenizer(writer: gguf.GGUFWriter, *, template: bool = True) -> None:
    """Add the demo checkpoint's tokenizer; its pattern that splits words is Qwen2's."""
    saved = json.loads((CHECKPOINT / "tokenizer.json").read_text("utf-8"))
    vocabulary: dict[str, int] = saved["model"]["vocab"]
    added = {one["id"]: one["content"] for one in saved["added_tokens"]}
    tokens = {number: text for text, number in vocabulary.items()} | added
    ids = range(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([tokens[number] for number in ids])
    types = gguf.TokenType.NORMAL, gguf.TokenType.CONTROL
    writer.add_token_types([types[number in added] for number in ids])
    writer.add_token_merges(
        [one if isinstance(one, str) else " ".join(one) for one in saved["model"]["merges"]]
    )
    by_text = {text: number for number, text in added.items()}
    writer.add_bos_token_id(by_text["<|begin|>"])
    writer.add_eos_token_id(by_text["<|end|>"])
    writer.add_pad_token_id(by_text["<|pad|>"])
    writer.add_add_bos_token(False)
    found = read_chat_template(CHECKPOINT)
    if template and found:
        writer.add_chat_template(found.text)


def random_llama(layers: int = LAYERS, seed: int = 0) -> dict[str, np.ndarray]:
    """Return the tensors of a Llama by their GGUF names, all F32; the head is the embedding."""
    generator = np.random.default_rng(seed)

    def matrix(rows: int, columns: int) -> np.ndarray:
        return generator.normal(0, 0.15, (rows, columns)).astype(np.float32)

    def norm() -> np.ndarray:
        return generator.normal(1, 0.1, HIDDEN).astype(np.float32)

    keys = HIDDEN // HEADS * KV_HEADS
    tensors = {"token_embd.weight": matrix(VOCABULARY, HIDDEN)}
    for layer in range(layers):
        tensors |= {
            f"blk.{layer}.attn_norm.weight": norm(),
            f"blk.{layer}.attn_q.weight": matrix(HIDDEN, HIDDEN),
            f"blk.{layer}.attn_k.weight": matrix(keys, HIDDEN),
            f"blk.{layer}.attn_v.weight": matrix(keys, HIDDEN),
            f"blk.{layer}.attn_output.weight": matrix(HIDDEN, HIDDEN),
            f"blk.{layer}.ffn_norm.weight": norm(),
            f"blk.{layer}.ffn_gate.weight": matrix(INTERMEDIATE, HIDDEN),
            f"blk.{layer}.ffn_up.weight": matrix(INTERMEDIATE, HIDDEN),
            f"blk.{layer}.ffn_down.weight": matrix(HIDDEN, INTERMEDIATE),
        }
    return tensors | {"output_norm.weight": norm()}
