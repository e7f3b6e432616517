"""What TensorRT's parser and ONNX Runtime do with graphs that look right: why ours is spelled as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import tensorrt_rtx as trt
from onnx import TensorProto, helper

from engines.backends.tensorrt import plan_builder
from engines.backends.tensorrt.library import logger
from engines.backends.tensorrt.plan_builder import Sizes, build_plan
from engines.errors import EngineError
from engines.onnx.decoder_graph import GraphFormat, write_graph
from engines.onnx.folder import GRAPH
from engines.plan.checkpoint.tensors import tensor_entries
from engines.plan.decoder.decoder import read_decoder
from engines.weights.reader import WeightReader

SIZES = Sizes(context=256, chunk_tokens=64)


def network() -> Any:
    flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    return trt.Builder(logger()[0]).create_network(flags)


def attention(folder: Path, kind: int = TensorProto.FLOAT16, **attributes: Any) -> Path:
    """Write a graph with one Attention of 4 heads over 16 keys; `nonpad` adds that input."""
    has_lengths = attributes.pop("nonpad", False)
    shapes = {"query": (1, 4, 1, 32), "key": (1, 4, 16, 32), "value": (1, 4, 16, 32)}
    inputs = [helper.make_tensor_value_info(name, kind, shape) for name, shape in shapes.items()]
    names = list(shapes)
    if has_lengths:
        inputs.append(helper.make_tensor_value_info("lengths", TensorProto.INT64, (1,)))
        names += ["", "", "", "lengths"]
    node = helper.make_node("Attention", names, ["mixed"], **attributes)
    output = helper.make_tensor_value_info("mixed", kind, (1, 4, 1, 32))
    graph = helper.make_graph([node], "attention", inputs, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=11)
    onnx.save(model, folder / "attention.onnx")
    return folder / "attention.onnx"


def parsed(path: Path) -> Any:
    made = network()
    plan_builder._parse(trt, made, path)
    return made


def kinds_of_mask(made: Any) -> set[Any]:
    found = set()
    for place in range(made.num_layers):
        layer = made.get_layer(place)
        if layer.type == trt.LayerType.ATTENTION_INPUT:
            layer.__class__ = trt.IAttentionInputLayer
            found.add(layer.attention.causal_kind)
    return found


def graph_of(checkpoint: Path, folder: Path, floats: str, precision: str = "") -> Path:
    form = GraphFormat(floats, precision or floats, SIZES.context)
    write_graph(read_decoder(checkpoint), WeightReader(tensor_entries(checkpoint)), folder, form)
    return folder / GRAPH


def test_a_dropped_input_is_an_error(tmp_path: Path) -> None:
    """The parser ignores `nonpad_kv_seqlen`, with a warning only: attention would see the whole cache."""
    with pytest.raises(EngineError, match=r"does not use every input of the graph.*Unused Input"):
        build_plan(
            attention(tmp_path, nonpad=True, is_causal=1), SIZES, "sm89", "tensorrt_rtx", lambda _: None
        )


def test_causal_attention_is_aligned_to_the_first_key(tmp_path: Path) -> None:
    """In decode a query would see the first key only, and in ONNX Runtime the last ones; ours has a mask."""
    assert kinds_of_mask(parsed(attention(tmp_path, is_causal=1))) == {trt.CausalMaskKind.UPPER_LEFT}


def test_our_graph_has_a_mask_of_its_own(tmp_path: Path, llama: Path) -> None:
    assert kinds_of_mask(parsed(graph_of(llama, tmp_path, "fp16"))) == {trt.CausalMaskKind.NONE}


def test_attention_in_fp32_has_no_kernel(
    tmp_path: Path, llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It builds because every attention may be decomposed."""
    graph = graph_of(llama, tmp_path, "fp32")
    assert build_plan(graph, SIZES, "sm89", "tensorrt_rtx", lambda _: None).data is not None
    monkeypatch.setattr(plan_builder, "_allow_any_attention", lambda *_: None)
    with pytest.raises(EngineError, match="TensorRT for RTX cannot build this engine"):
        build_plan(graph, SIZES, "sm89", "tensorrt_rtx", lambda _: None)


def test_fp8_is_refused_by_an_older_target_only_if_it_is_named(tmp_path: Path, llama: Path) -> None:
    """Without a target it builds silently: so a target is always set."""
    graph = graph_of(llama, tmp_path, "fp16", "fp8")
    with pytest.raises(EngineError, match="fp8"):
        build_plan(graph, SIZES, "sm86", "tensorrt_rtx", lambda _: None)


def test_one_profile_covers_prompt_and_decode(tmp_path: Path, llama: Path) -> None:
    """A second one would store the weights twice."""
    made = parsed(graph_of(llama, tmp_path, "fp16"))
    profile = plan_builder._profile(trt.Builder(logger()[0]), made, SIZES)
    assert profile.get_shape("input_ids") == [(1, 1), (1, 64), (1, 64)]
    assert profile.get_shape("used") == [(1,), (256,), (256,)]


def test_operators_of_onnx_runtime_are_refused(tmp_path: Path) -> None:
    """The parser says that it supports GroupQueryAttention, and has no plugin for it."""
    parser = trt.OnnxParser(network(), logger()[0])
    assert parser.supports_operator("GroupQueryAttention")
    shape = (1, 1, 64)
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT16, shape) for name in ("q", "k", "v")]
    names = ["q", "k", "v", "", "", "lengths", "total"]
    inputs += [helper.make_tensor_value_info("lengths", TensorProto.INT32, (1,))]
    inputs += [helper.make_tensor_value_info("total", TensorProto.INT32, ())]
    node = helper.make_node(
        "GroupQueryAttention", names, ["out", "pk", "pv"], domain="com.microsoft", num_heads=2, kv_num_heads=2
    )
    output = helper.make_tensor_value_info("out", TensorProto.FLOAT16, shape)
    opsets = [helper.make_opsetid("", 24), helper.make_opsetid("com.microsoft", 1)]
    graph = helper.make_graph([node], "gqa", inputs, [output])
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=11), tmp_path / "gqa.onnx")
    with pytest.raises(EngineError, match="TensorRT cannot read the graph"):
        parsed(tmp_path / "gqa.onnx")


def test_bf16_does_not_run_on_the_cpu(tmp_path: Path, llama: Path) -> None:
    """So ONNX Runtime is the reference of fp16 graphs only."""
    graph = graph_of(llama, tmp_path, "bf16")
    with pytest.raises(Exception, match=r"NOT_IMPLEMENTED|NotImplemented|Could not find an implementation"):
        onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])


def test_a_table_of_int8_rows_is_refused(tmp_path: Path, llama: Path) -> None:
    """TensorRT looks up no quantised rows: the embedding stays in 16 bits there."""
    form = GraphFormat("fp16", "int8", SIZES.context, int8_embedding=True)
    write_graph(read_decoder(llama), WeightReader(tensor_entries(llama)), tmp_path, form)
    with pytest.raises(EngineError, match="Quantized constant"):
        build_plan(tmp_path / GRAPH, SIZES, "sm89", "tensorrt_rtx", lambda _: None)


def test_int4_is_packed_two_in_a_byte() -> None:
    from engines.onnx.weights import _packed

    values = np.array([[1, -8], [7, -1]], np.int8)
    assert _packed(values).tolist() == [0x81, 0xF7]
