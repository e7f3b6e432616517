"""A GGUF file is read as a checkpoint: facts, estimate, support, and where such files are found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from gguf import GGMLQuantizationType as TensorType

from engines.backends.registry import BACKENDS
from engines.build.prepare import local_folder
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.hub import gguf_caches
from engines.hub.local import local_models
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.checkpoint.loadable import support_of
from engines.plan.estimate.estimate import estimate, estimate_weight_bytes
from engines.plan.gguf_formats import (
    DEQUANTISING_BACKEND,
    GGUF_BACKEND,
    is_precision,
    offered_precisions,
    precision_of,
)
from engines.plan.hardware.hardware import Device
from engines.plan.kv_precision import AUTO
from tests.engines.gguf.raw_gguf import TOKENS, Tensor, good
from tests.engines.gguf.tiny_gguf import CONTEXT, LAYERS, write_tiny_gguf

CPU = Device("cpu", "cpu", "CPU", 16 << 30, 8 << 30)


def write(file: Path, data: bytes) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


def test_facts_of_a_quantised_file(tmp_path: Path) -> None:
    file = write_tiny_gguf(tmp_path / "Tiny-1M.Q8_0.gguf", matrices=TensorType.Q8_0)
    found = read_checkpoint(file)
    assert (found.name, found.folder, found.architecture) == ("Tiny-1M.Q8_0", file, "llama")
    assert (found.gguf_precision, found.dtype) == ("q8_0", "q8_0")
    assert found.quantisation
    assert found.quantisation.description == (
        "A GGUF file in Q8_0: 8.5 bits a weight; of its tensors 15 in Q8_0, 5 in F32."
    )
    assert (found.shape.layers, found.max_positions, found.kv_heads) == (LAYERS, CONTEXT, 2)
    layer = 2 * 128 * 128 + 2 * 64 * 128 + 3 * 256 * 128 + 2 * 128  # attention, MLP, norms
    assert found.parameters == 4096 * 128 + LAYERS * layer + 128
    assert found.weights.tied
    assert found.kv_bytes_per_token(2) == LAYERS * 2 * (32 + 32) * 2
    assert found.has_chat_template
    norms = (2 * LAYERS + 1) * 128
    assert found.weight_bytes == (found.parameters - norms) * 8.5 / 8 + norms * 4
    assert found.download_bytes == file.stat().st_size


def test_only_llama_cpp_runs_it_in_its_own_precision(tmp_path: Path) -> None:
    found = read_checkpoint(write_tiny_gguf(tmp_path / "tiny.gguf", matrices=TensorType.Q4_0))
    assert offered_precisions(found) == ("q4_0",)
    assert support_of(GGUF_BACKEND, "q4_0", CPU, found).state == "native"
    other = support_of(GGUF_BACKEND, "int8", CPU, found)
    assert other.reason == "The weights in this GGUF file are Q4_0, and are not converted."
    for backend in set(BACKENDS) - {GGUF_BACKEND, DEQUANTISING_BACKEND}:
        refused = support_of(backend, "q4_0", CPU, found)
        assert refused.state == "unavailable"
        assert refused.reason == (
            "It is a GGUF file: llama.cpp runs it as it is, PyTorch with dequantised weights."
        )
        assert refused.remedy == "Choose one of these, or the model's checkpoint with safetensors."
    dequantised = support_of(DEQUANTISING_BACKEND, "fp32", CPU, found)
    assert dequantised.state == "native"
    assert dequantised.reason.startswith("The weights of the file, dequantised from Q4_0. ")
    assert estimate_weight_bytes(found, "fp32") == 4 * found.parameters
    assert support_of(DEQUANTISING_BACKEND, "int8", CPU, found).state == "unavailable"
    odd = support_of(DEQUANTISING_BACKEND, "fp32", CPU, replace(found, not_dequantised="Odd."))
    assert (odd.state, odd.reason) == ("unavailable", "Odd.")


def test_the_estimate_counts_the_bytes_of_the_file(tmp_path: Path) -> None:
    found = read_checkpoint(write_tiny_gguf(tmp_path / "tiny.gguf", matrices=TensorType.Q8_0))
    figures = estimate(found, GGUF_BACKEND, "q8_0", AUTO, 1000, CPU)
    assert figures.weights == found.weight_bytes
    assert figures.kv >= 1000 * found.kv_bytes_per_token(2)
    assert (figures.loading, figures.build_host) == (0, 0)


@pytest.mark.parametrize(
    ("file_type", "kind", "name"),
    [
        (0, 0, "fp32"),
        (15, 0, "fp32"),  # the file says Q4_K_M and holds F32
        (99, 0, "fp32"),
        (15, 12, "q4_k_m"),
        (14, 12, "q4_k_s"),
        (99, 12, "q4_k"),
        (30, 23, "iq4_xs"),
        (1, 1, "fp16"),
        (32, 30, "bf16"),
        (27, 21, "iq3_m"),
        (38, 39, "mxfp4"),
    ],
)
def test_precision_by_the_number_and_by_the_tensors(
    file_type: int, kind: int, name: str, tmp_path: Path
) -> None:
    wide = 256
    model = good().with_field("llama.embedding_length", "u32", wide)
    model = model.with_field("general.file_type", "u32", file_type)
    model = model.with_tensor("token_embd.weight", Tensor((wide, len(TOKENS)), kind, size=wide * 64))
    found = read_checkpoint(write(tmp_path / "model.gguf", model.to_bytes()))
    assert found.gguf_precision == name
    assert is_precision(name)
    assert precision_of(name).title


def test_values_by_layer_and_head_sizes(tmp_path: Path) -> None:
    """Of a hybrid some layers have no keys; DeepSeek's values are narrower than its keys."""
    model = good("lfm2").with_field("lfm2.block_count", "u32", 3)
    model = model.with_field("lfm2.attention.head_count_kv", "[u32]", [0, 2, 0])
    model = model.with_field("lfm2.attention.key_length", "u32", 24)
    model = model.with_field("lfm2.attention.value_length", "u32", 16)
    found = read_checkpoint(write(tmp_path / "model.gguf", model.to_bytes()))
    assert [(one.heads, one.key_dim, one.value_dim) for one in found.shape.kv_layers] == [(2, 24, 16)]
    assert found.kv_bytes_per_token(2) == 2 * (24 + 16) * 2
    windows = good("gemma2").with_field("gemma2.attention.sliding_window", "u32", 10)
    windows = windows.with_field("gemma2.block_count", "u32", 2)
    found = read_checkpoint(write(tmp_path / "gemma.gguf", windows.to_bytes()))
    assert [one.window for one in found.shape.kv_layers] == [10, None]


def test_parts_are_one_checkpoint_and_missing_ones_are_named(tmp_path: Path) -> None:
    first = write_tiny_gguf(tmp_path / "tiny.gguf", tensors_per_file=8)
    whole = read_checkpoint(write_tiny_gguf(tmp_path / "one" / "tiny.gguf"))
    second, third = (first.with_name(f"tiny-0000{number}-of-00003.gguf") for number in (2, 3))
    for path in (first, second, tmp_path):  # the folder holds one model
        found = read_checkpoint(path)
        assert (found.folder, found.name, found.parameters) == (first, "tiny", whole.parameters)
        assert found.download_bytes == sum(one.stat().st_size for one in (first, second, third))
        assert local_folder(EngineSpec(str(path), GGUF_BACKEND, "fp32")) == first
    third.rename(tmp_path / "third")
    with pytest.raises(EngineError, match=r"The model tiny lacks the file tiny-00003-of-00003\.gguf"):
        read_checkpoint(first)
    (tmp_path / "third").rename(third)
    second.write_bytes(third.read_bytes())
    with pytest.raises(EngineError, match="it is not part 2 of 3"):
        read_checkpoint(first)
    os.rename(first, tmp_path / "other.gguf")  # noqa: PTH104
    with pytest.raises(EngineError, match="one of 3 parts"):
        read_checkpoint(tmp_path / "other.gguf")


def test_a_folder_with_several_files_lists_them(tmp_path: Path) -> None:
    for name in ("a.gguf", "b.gguf", "mmproj-a.gguf"):
        write(tmp_path / name, good().to_bytes())
    with pytest.raises(EngineError) as refused:
        read_checkpoint(tmp_path)
    assert "holds GGUF files and no config.json: a.gguf, b.gguf, mmproj-a.gguf" in refused.value.message
    assert str(tmp_path / "a.gguf") in refused.value.hint
    (tmp_path / "b.gguf").unlink()
    assert read_checkpoint(tmp_path).folder == tmp_path / "a.gguf"


def test_the_identity_changes_with_the_content(tmp_path: Path) -> None:
    file = write(tmp_path / "model.gguf", good().to_bytes())
    before = read_checkpoint(file).identity
    assert read_checkpoint(file).identity == before
    write(file, good().with_field("llama.rope.freq_base", "f32", 5e5).to_bytes())
    assert read_checkpoint(file).identity != before


def test_where_gguf_files_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = good().to_bytes()
    own = write(tmp_path / "models" / "maker" / "own.Q8_0.gguf", data)
    write(own.with_name("mmproj-own.gguf"), data)
    parts = [write(own.with_name(f"big-0000{part}-of-00002.gguf"), data) for part in (1, 2)]
    studio = write(tmp_path / "lm-studio" / "maker" / "model" / "studio.gguf", data)
    monkeypatch.setattr(gguf_caches, "LM_STUDIO", (str(tmp_path / "lm-studio"), "/nowhere"))
    snapshot = tmp_path / "cache" / "models--maker--hub" / "snapshots" / ("a" * 40)
    in_hub = write(snapshot / "hub.gguf", data)
    in_subfolder = write(snapshot / "Q4" / "deep.gguf", data)
    blob = write(tmp_path / "ollama" / "blobs" / f"sha256-{'b' * 64}", data)
    library = tmp_path / "ollama" / "manifests" / "registry.ollama.ai" / "library"
    write(library / "broken" / "1", b"[")
    named = {"llama3.2/1b": f"sha256:{'b' * 64}", "gone/1": f"sha256:{'c' * 64}", "outside/1": "../x"}
    for name, digest in named.items():
        layers = [{"mediaType": gguf_caches.MODEL_LAYER, "digest": digest}]
        write(library / name, json.dumps({"layers": layers}).encode())
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "ollama"))

    found = local_models([studio], [tmp_path / "models"], tmp_path / "cache")
    assert {(one.kind, one.name, one.path) for one in found[1:]} == {
        ("recent", "studio", studio),
        ("hub cache", "hub", in_hub),
        ("hub cache", "deep", in_subfolder),
        ("ollama", "llama3.2:1b", blob),
        ("folder", "own.Q8_0", own),
        ("folder", "big", parts[0]),
    }
    assert {one.name: one.weight_bytes for one in found}["big"] == 2 * len(data)
    assert read_checkpoint(blob).gguf_precision == "fp32"
    assert local_folder(EngineSpec(str(in_hub), GGUF_BACKEND, "fp32")) == in_hub


def test_reading_imports_no_numpy(tmp_path: Path) -> None:
    file = write(tmp_path / "model.gguf", good().to_bytes())
    code = (
        "import sys; from pathlib import Path;"
        "from engines.plan.checkpoint.checkpoint import read_checkpoint;"
        f"read_checkpoint(Path({str(file)!r})); print({{'numpy', 'torch', 'gguf'}} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
