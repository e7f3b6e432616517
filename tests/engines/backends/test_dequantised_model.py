"""The dequantised form of GGUF files in PyTorch: its values, what is refused, and llama.cpp compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as TensorType

from engines.backends.dequantised_model import dequantised_model
from engines.backends.llama_cpp.gguf_file import write_gguf
from engines.backends.pytorch import PyTorchBackend
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.checkpoint.tensors import tensor_entries
from engines.plan.decoder.decoder import read_decoder
from engines.weights.reader import WeightReader
from tests.doubles.recording_report import RecordingReport
from tests.engines.backends.llama_cpp.test_backend import ARCHITECTURES
from tests.engines.conftest import Reference
from tests.engines.gguf.demo_gguf import write_demo_gguf
from tests.engines.gguf.tiny_gguf import random_llama, write_tiny_gguf
from tests.engines.measures import answer, divergence, reference_logits, tokens
from tests.families import make_checkpoint

Change = Callable[[gguf.GGUFWriter], None]


@pytest.mark.parametrize("family", ARCHITECTURES)
def test_every_architecture_that_is_written_is_read_again(
    family: str, reference: Reference, tmp_path: Path
) -> None:
    folder, file = make_checkpoint(family, tmp_path / family), tmp_path / "model.gguf"
    reader = WeightReader(tensor_entries(folder), lambda _: None)
    write_gguf(read_decoder(folder), reader, file, "fp32")
    ids, report = tokens(48, vocabulary=4000), RecordingReport()
    found = dequantised_model(file, torch.float32, report).eval()
    expected = reference_logits(reference(folder), ids)
    assert torch.allclose(reference_logits(found, ids), expected, atol=1e-4)  # RoPE's factors are rounded


@pytest.mark.parametrize("kind", [TensorType.Q8_0, TensorType.Q4_0, TensorType.BF16, TensorType.F16])
def test_the_values_are_those_of_the_file_also_in_parts(kind: TensorType, tmp_path: Path) -> None:
    whole = write_tiny_gguf(tmp_path / "tiny.gguf", matrices=kind)
    parts = write_tiny_gguf(tmp_path / "parts" / "tiny.gguf", matrices=kind, tensors_per_file=5)
    one, other = (dequantised_model(file, torch.float32, RecordingReport()) for file in (whole, parts))
    assert len(list(parts.parent.iterdir())) > 1
    for name, values in one.state_dict().items():
        assert torch.equal(values, other.state_dict()[name])
    written = random_llama(2, one.config.vocab_size)["blk.1.ffn_down.weight"]
    stored = gguf.quants.quantize(written, kind)
    expected = torch.from_numpy(gguf.dequantize(stored, kind))
    assert torch.equal(one.model.layers[1].mlp.down_proj.weight, expected)


def test_llama_cpp_differs_from_it_by_arithmetic_only(tmp_path: Path) -> None:
    file = write_demo_gguf(tmp_path / "Demo.Q4_0.gguf")
    own, found = PyTorchBackend(), read_checkpoint(file)
    assert (found.gguf_precision, found.not_dequantised) == ("q4_0", "")
    own.load(EngineSpec(str(file), "pytorch", "fp32"), file, None, RecordingReport())
    from engines.backends.llama_cpp.backend import LlamaCppBackend

    llama, ids = LlamaCppBackend(), tokens(24, vocabulary=4000)
    llama.load(EngineSpec(str(file), "llama-cpp", "q4_0"), file, None, RecordingReport())
    expected = reference_logits(own._model, ids)[[7, 23]]
    rows = torch.from_numpy(np.stack([llama.loaded.distributions.row(ids[:end]) for end in (8, 24)]))
    llama.close()
    assert divergence(expected, rows).mean() < 0.02
    usage = own.memory_usage()
    assert usage.weights is not None
    assert usage.weights >= 4 * found.parameters
    assert len(answer(own, ids, 5)) == 5


def _written(file: Path, change: Change, tensors: dict[str, np.ndarray], architecture: str = "llama") -> Path:
    writer = gguf.GGUFWriter(file, architecture)
    writer.add_context_length(256)
    writer.add_embedding_length(128)
    writer.add_block_count(1)
    writer.add_feed_forward_length(256)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(64)
    change(writer)
    for name, values in tensors.items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


NORM = np.ones(128, np.float32)
REFUSED: dict[str, tuple[Change, dict[str, np.ndarray | None], str, str]] = {
    "an unknown architecture": (lambda _: None, {}, "gemma3", "gemma3 is not known"),
    "RoPE scaling": (
        lambda writer: writer.add_rope_scaling_type(gguf.RopeScalingType.YARN),
        {},
        "llama",
        "rope.scaling.type",
    ),
    "partial RoPE": (lambda writer: writer.add_rope_dimension_count(16), {}, "llama", "partial rotary"),
    "experts": (lambda writer: writer.add_expert_count(8), {}, "llama", "expert_count"),
    "a tensor more": (lambda _: None, {"blk.0.attn_q_norm.weight": NORM}, "llama", "attn_q_norm"),
    "a tensor less": (lambda _: None, {"blk.0.ffn_norm.weight": None}, "llama", "lacks 1"),
    "another shape": (
        lambda _: None,
        {"blk.0.attn_k.weight": np.ones((32, 128), np.float32)},
        "llama",
        r"has the shape \[32, 128\]",
    ),
    "not finite": (lambda _: None, {"output_norm.weight": NORM * np.nan}, "llama", "NaN"),
    "zero factors": (lambda _: None, {"rope_freqs.weight": np.zeros(16, np.float32)}, "llama", "factors"),
    "factors of other heads": (
        lambda _: None,
        {"rope_freqs.weight": np.ones(7, np.float32)},
        "llama",
        "rope_freqs",
    ),
    "integers": (lambda _: None, {"output_norm.weight": np.ones(128, np.int32)}, "llama", "I32"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_understood_is_refused(name: str, tmp_path: Path) -> None:
    change, other, architecture, why = REFUSED[name]
    tensors = {key: value for key, value in (random_llama(1, 64) | other).items() if value is not None}
    file = _written(tmp_path / "odd.gguf", change, tensors, architecture)
    with pytest.raises(EngineError, match=why):
        dequantised_model(file, torch.float32, RecordingReport())
