"""What is written: names, sizes, refusals, and which libraries that needs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import onnx
import pytest
import torch
from safetensors.torch import load_file, save_file

from engines.errors import EngineError
from engines.onnx.decoder_graph import GraphFormat
from engines.onnx.folder import DATA, GRAPH
from engines.onnx.model_file import ALIGNMENT, INLINE_BYTES
from engines.worker.error_mapping import to_error_event
from tests.engines.conftest import Checkpoint
from tests.engines.measures import tokens
from tests.engines.onnx.graphs import Graph, WriteOnce, write
from tests.engines.tiny import FAMILIES, make_checkpoint

ROOT = Path(__file__).parents[3]
FP32 = GraphFormat("fp32", "fp32")
NAME = re.compile(r"(layers\.\d+/(attention|mlp)/)?[a-z0-9_./-]+")
"""Of a node: its place, then what it computes."""


def graph_of(folder: Path) -> onnx.GraphProto:
    """Return the graph without its external data."""
    return onnx.load(folder / GRAPH, load_external_data=False).graph


def changed(folder: Path, name: str, value: float) -> Path:
    """Create a checkpoint with one value of a weight changed."""
    make_checkpoint(folder)
    file = folder / "model.safetensors"
    weights = load_file(file)
    weights[name].view(-1)[5] = value
    save_file(weights, file, {"format": "pt"})
    return folder


@pytest.mark.parametrize("form", [FP32, GraphFormat("fp16", "int4", int8_embedding=True)], ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_names_are_unique_and_say_the_place(
    family: str, form: GraphFormat, checkpoint: Checkpoint, written: WriteOnce
) -> None:
    graph = graph_of(written(checkpoint(family), form))
    names = [node.name for node in graph.node]
    assert not [name for name, count in Counter(names).items() if count > 1]
    assert not [name for name in names if not NAME.fullmatch(name)]
    fused = family == "gpt2" or family == "phi3"
    for part in ("attention/query_key_value" if fused else "attention/query", "attention/output", "mlp/down"):
        assert {f"layers.0/{part}", f"layers.1/{part}"} <= set(names)
    assert {"embedding", "head", "norm", "logits"} <= {name.split("/")[0] for name in names}
    values = [value for node in graph.node for value in node.output]
    constants = [constant.name for constant in graph.initializer]
    assert len({*values, *constants}) == len(values) + len(constants)


def test_no_constant_is_unused(checkpoint: Checkpoint, written: WriteOnce) -> None:
    for family in FAMILIES:
        graph = graph_of(written(checkpoint(family), FP32))
        used = {value for node in graph.node for value in node.input}
        assert {constant.name for constant in graph.initializer} <= used
        assert {value.name for value in graph.input} <= used


def test_a_model_that_shares_its_embedding_stores_it_once(checkpoint: Checkpoint, written: WriteOnce) -> None:
    tied, untied = checkpoint("llama-tied"), checkpoint("llama")
    table = 384 * 128 * 4
    for floats, size in (("fp32", table), ("fp16", table // 2), ("bf16", table // 2)):
        form = GraphFormat(floats, floats)
        small, large = ((written(folder, form) / DATA).stat().st_size for folder in (tied, untied))
        assert large - small == size


@pytest.mark.parametrize(("precision", "bits"), [("fp32", 32), ("int8", 8), ("int4", 4), ("fp8", 8)])
def test_weights_take_their_size(
    precision: str, bits: int, checkpoint: Checkpoint, written: WriteOnce
) -> None:
    graph = graph_of(written(checkpoint("llama"), GraphFormat("fp32", precision)))
    lengths = {
        constant.name: int(entry.value)
        for constant in graph.initializer
        for entry in constant.external_data
        if entry.key == "length"
    }
    [query] = [size for name, size in lengths.items() if "layers.0.self_attn.q_proj.weight" in name and
               "scale" not in name]  # fmt: skip
    assert query == 128 * 128 * bits // 8


def test_external_data_is_aligned_and_within_the_file(checkpoint: Checkpoint, written: WriteOnce) -> None:
    folder = written(checkpoint("llama"), FP32)
    end = 0
    for constant in graph_of(folder).initializer:
        entries = {entry.key: entry.value for entry in constant.external_data}
        if not entries:
            assert len(constant.raw_data) < INLINE_BYTES
            continue
        assert entries["location"] == DATA
        assert int(entries["offset"]) % ALIGNMENT == 0
        assert int(entries["offset"]) >= end
        end = int(entries["offset"]) + int(entries["length"])
    assert end == (folder / DATA).stat().st_size


@pytest.mark.parametrize(
    ("form", "name", "value", "words"),
    [
        (GraphFormat("fp16", "fp16"), "model.layers.1.mlp.up_proj.weight", 70_000.0, "too large for fp16"),
        (GraphFormat("fp16", "fp16"), "model.embed_tokens.weight", -70_000.0, "too large for fp16"),
        (FP32, "model.layers.1.mlp.up_proj.weight", float("nan"), "NaN or infinity"),
        (FP32, "model.layers.0.input_layernorm.weight", float("inf"), "NaN or infinity"),
        (GraphFormat("fp16", "fp8"), "model.layers.0.mlp.up_proj.weight", float("nan"), "NaN or infinity"),
        (GraphFormat("fp32", "int8"), "lm_head.weight", 1e9, "too large to quantise"),
        (GraphFormat("fp16", "fp8"), "model.layers.0.mlp.up_proj.weight", 1e9, "too large for fp16"),
    ],
    ids=str,
)
def test_a_value_that_cannot_be_stored_is_refused_by_the_name_of_its_tensor(
    form: GraphFormat, name: str, value: float, words: str, tmp_path: Path
) -> None:
    folder = changed(tmp_path / "checkpoint", name, value)
    with pytest.raises(EngineError, match=words) as caught:
        write(folder, tmp_path, form)
    assert caught.value.code == "broken-weights"
    assert name in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("precision", ["int8", "int4", "fp8"])
@pytest.mark.parametrize("floats", ["fp32", "fp16"])
def test_tiny_weights_stay_finite(precision: str, floats: str, tmp_path: Path) -> None:
    """Their scales become zero in 16 bits."""
    folder = make_checkpoint(tmp_path / "checkpoint")
    file = folder / "model.safetensors"
    weights = load_file(file)
    for name in ("model.layers.0.mlp.up_proj.weight", "model.layers.0.self_attn.q_proj.weight"):
        weights[name] *= 1e-9
        weights[name][:, 0] = 0
    weights["model.layers.0.mlp.down_proj.weight"] *= 0
    save_file(weights, file, {"format": "pt"})
    logits = Graph(write(folder, tmp_path, GraphFormat(floats, precision))).logits(tokens(20))
    assert logits.isfinite().all()
    assert logits.std() > 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_checkpoints_of_16_bits_are_read_exactly(
    dtype: torch.dtype, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    folder = checkpoint("llama", dtype=dtype)
    write(folder, tmp_path, FP32)
    written_model = onnx.load(tmp_path / GRAPH)
    name = "model.layers.0.self_attn.q_proj.weight"
    [found] = [one for one in written_model.graph.initializer if one.name == name]
    stored = load_file(folder / "model.safetensors")[name]
    assert torch.equal(torch.tensor(onnx.numpy_helper.to_array(found)), stored.float().T)


SCRIPT = """
import json, resource, sys
from pathlib import Path
from engines.onnx.decoder_graph import GraphFormat, write_graph
from engines.plan.checkpoint.tensors import tensor_entries
from engines.plan.decoder.decoder import read_decoder
from engines.weights.reader import WeightReader
from engines.worker.error_mapping import to_error_event

folder, target, limit = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
found = {}
try:
    form = GraphFormat("fp32", "int4")
    write_graph(read_decoder(folder), WeightReader(tensor_entries(folder)), target, form)
except Exception as error:
    event = to_error_event(1, error)
    found = {"code": event.code, "hint": event.hint}
found["loaded"] = sorted({name.split(".")[0] for name in sys.modules})
print(json.dumps(found))
"""


def run(folder: Path, target: Path, limit: int = 0) -> dict[str, object]:
    """Write a graph in a process whose files are limited to `limit` bytes."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), str(target), str(limit)],
        capture_output=True, text=True, cwd=ROOT, env=os.environ | {"MALLOC_ARENA_MAX": "2"}, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_a_build_imports_no_framework(checkpoint: Checkpoint, tmp_path: Path) -> None:
    loaded = run(checkpoint("llama"), tmp_path)["loaded"]
    assert "onnx" in loaded  # type: ignore[operator]
    heavy = {"torch", "transformers", "onnxruntime", "openvino", "tensorrt", "tensorrt_rtx"}
    assert not heavy.intersection(loaded)  # type: ignore[call-overload]


@pytest.mark.parametrize("limit", [1_000, 100_000, 300_000])
def test_a_full_disk_is_an_error(limit: int, checkpoint: Checkpoint, tmp_path: Path) -> None:
    found = run(checkpoint("llama"), tmp_path, limit)
    assert found["code"] == "disk-full"
    assert found["hint"]


def test_a_disk_that_fills_up_with_the_graph_is_an_error(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """The data fits, the graph does not."""
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    (tmp_path / GRAPH).symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        write(checkpoint("llama"), tmp_path, FP32)
    assert to_error_event(1, caught.value).code == "disk-full"
