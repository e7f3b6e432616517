"""ONNX graphs: those that are built from checkpoints, others, and damaged ones."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from engines.inspect.graph import MAX_GRAPH_BYTES, read_graph
from engines.inspect.inspection import count_kinds
from engines.onnx.decoder_graph import GraphFormat, write_graph
from engines.onnx.folder import DATA, GRAPH
from engines.plan.checkpoint.tensors import tensor_entries
from engines.plan.decoder.decoder import read_decoder
from engines.weights.reader import WeightReader
from tests.engines.tiny import make_checkpoint

LINEAR = {"llama": 14, "gpt2": 8}
"""MatMuls of two layers, without the head."""


def built(folder: Path, checkpoint: Path, form: GraphFormat) -> Path:
    """Write the graph of a checkpoint without its data file, and return the folder."""
    folder.mkdir()
    write_graph(read_decoder(checkpoint), WeightReader(tensor_entries(checkpoint)), folder, form)
    (folder / DATA).unlink()
    return folder


@pytest.mark.parametrize("family", LINEAR)
@pytest.mark.parametrize(
    ("form", "weights", "head"),
    [
        (GraphFormat("fp32", "fp32"), "fp32", "fp32"),
        (GraphFormat("fp32", "int8", int8_embedding=True), "int8", "int8"),
        (GraphFormat("fp32", "int4", int8_embedding=True), "int4", "int8"),
        (GraphFormat("fp16", "fp16", 512), "fp16", "fp16"),
        (GraphFormat("fp16", "fp8", 512), "fp8", "fp16"),
        (GraphFormat("fp16", "int4", 512), "int4", "int8"),
        (GraphFormat("bf16", "bf16", 512), "bf16", "bf16"),
    ],
    ids=lambda value: f"{value.floats}-{value.precision}" if isinstance(value, GraphFormat) else str(value),
)
def test_every_matmul_says_how_its_weights_are_stored(
    tmp_path: Path, family: str, form: GraphFormat, weights: str, head: str
) -> None:
    """Through DequantizeLinear and Transpose; the constants' file is not needed."""
    checkpoint = make_checkpoint(tmp_path / "checkpoint", family)
    found = read_graph(built(tmp_path / "engine", checkpoint, form))
    assert not found.problem
    products = {row.name: row for row in found.rows if row.kind == "MatMul"}
    assert products.pop("head").weights == head
    assert {row.weights for row in products.values()} == {weights}
    assert len(products) == LINEAR[family]
    assert all(row.precision == form.floats and row.weight_bytes for row in products.values())
    assert sum(one.count for one in count_kinds(found.rows) if one.kind == "MatMul") == LINEAR[family] + 1
    assert found.facts["opset"] == "24"


def test_sizes_are_those_of_the_stored_constants(tmp_path: Path) -> None:
    """The bytes of all constants are those of the data file, but for what aligns and inlines them."""
    checkpoint = make_checkpoint(tmp_path / "checkpoint")
    (tmp_path / "engine").mkdir()
    write_graph(
        read_decoder(checkpoint),
        WeightReader(tensor_entries(checkpoint)),
        tmp_path / "engine",
        GraphFormat("fp32", "fp32"),
    )
    found = read_graph(tmp_path / "engine")
    query = next(row for row in found.rows if row.name == "layers.0/attention/query")
    assert (query.weight_bytes, query.shape) == (128 * 128 * 4, (1, "T", 128))
    assert found.weight_bytes == pytest.approx((tmp_path / "engine" / DATA).stat().st_size, rel=0.1)


def save(folder: Path, nodes: list[object], constants: list[TensorProto]) -> Path:
    """Write a graph with an input x [2, 4] and an output y."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    opsets = [helper.make_opsetid("", 24), helper.make_opsetid("their.own", 1)]
    graph = helper.make_graph(nodes, "g", [x], [y], constants)
    model = helper.make_model(graph, opset_imports=opsets, ir_version=11)
    (folder / GRAPH).write_bytes(model.SerializeToString())
    return folder


def test_a_graph_of_another_exporter_is_listed(tmp_path: Path) -> None:
    """Nodes without names, constants as nodes, a kind that is not ONNX's, a constant that two nodes read."""
    weight = numpy_helper.from_array(np.ones((4, 4), np.float16), "w")
    bias = helper.make_node("Constant", [], ["b"], value=numpy_helper.from_array(np.ones(4, np.float32), "b"))
    nodes = [
        bias,
        helper.make_node("Cast", ["w"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["x", "wide"], ["first"]),
        helper.make_node("MatMul", ["first", "wide"], ["second"]),
        helper.make_node("Add", ["second", "b"], ["third"]),
        helper.make_node("Unheard", ["third", ""], ["y"], domain="their.own"),
    ]
    rows = {row.name: row for row in read_graph(save(tmp_path, nodes, [weight])).rows}
    assert (rows["first"].weights, rows["first"].weight_bytes, rows["first"].shape) == ("fp16", 32, (2, 4))
    assert rows["second"].weight_bytes == 32
    assert rows["wide"].weight_bytes is None
    assert rows["third"].weights == "fp32"
    assert rows["y"].kind == "Unheard"


@pytest.mark.parametrize("content", [b"", b"no protobuf", b"\x00" * 100, b"{}", b"\x08\x0b" * 1000])
def test_damaged_graphs_give_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / GRAPH).write_bytes(content)
    found = read_graph(tmp_path)
    assert found.problem.startswith("model.onnx is damaged: ")
    assert not found.rows


def test_a_graph_cut_anywhere_gives_rows_or_a_sentence(tmp_path: Path) -> None:
    weight = numpy_helper.from_array(np.ones((4, 4), np.float32), "w")
    save(tmp_path, [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")], [weight])
    data = (tmp_path / GRAPH).read_bytes()
    for length in range(0, len(data), 3):
        (tmp_path / GRAPH).write_bytes(data[:length])
        found = read_graph(tmp_path)
        assert found.rows or found.problem
    for place in range(len(data)):
        (tmp_path / GRAPH).write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        found = read_graph(tmp_path)
        assert found.rows or found.problem


def test_dimensions_that_cannot_be_are_no_sizes(tmp_path: Path) -> None:
    """Negative ones, and products beyond any disk."""
    huge = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1 << 62, 1 << 62])
    negative = TensorProto(name="n", data_type=99, dims=[-5, 3])
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("Add", ["a", "n"], ["y"])]
    first, second = read_graph(save(tmp_path, nodes, [huge, negative])).rows
    assert first.weight_bytes == 1 << 60
    assert (second.weights, second.weight_bytes) == ("type 99", 0)


def test_only_a_regular_file_of_a_limited_size_is_read(tmp_path: Path) -> None:
    assert not read_graph(tmp_path).exists
    os.mkfifo(tmp_path / GRAPH)
    assert "named pipe" in read_graph(tmp_path).problem
    (tmp_path / GRAPH).unlink()
    with (tmp_path / GRAPH).open("wb") as stream:
        stream.truncate(1 << 40)
    assert f"larger than {MAX_GRAPH_BYTES:,} bytes" in read_graph(tmp_path).problem
