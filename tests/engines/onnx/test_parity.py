"""The graph's tokens and logits equal those of transformers, for each family and precision."""

from __future__ import annotations

import onnx
import pytest
import torch

from engines.onnx.decoder_graph import GraphFormat
from engines.onnx.folder import GRAPH
from tests.engines.conftest import Checkpoint, Reference
from tests.engines.dequantised import dequantised_model
from tests.engines.measures import divergence, reference_choices, reference_logits, tokens
from tests.engines.onnx.graphs import CACHE_TOKENS, Graph, WriteOnce
from tests.engines.tiny import FAMILIES

ALL = (*FAMILIES, "llama-biased")
FP32, FP16 = GraphFormat("fp32", "fp32"), GraphFormat("fp16", "fp16")
FORMATS = (
    FP32,
    FP16,
    GraphFormat("bf16", "bf16"),
    *(GraphFormat(floats, kind) for floats in ("fp32", "fp16", "bf16") for kind in ("int8", "int4", "fp8")),
    GraphFormat("fp32", "int8", int8_embedding=True),
    GraphFormat("fp16", "int4", cache_tokens=128, int8_embedding=True),
)


@pytest.mark.parametrize("form", FORMATS, ids=str)
@pytest.mark.parametrize("family", ["llama-tied", "phi3", "gpt2"])
def test_the_checker_accepts_every_format(
    family: str, form: GraphFormat, checkpoint: Checkpoint, written: WriteOnce
) -> None:
    onnx.checker.check_model(str(written(checkpoint(family), form) / GRAPH), full_check=True)


@pytest.mark.parametrize("family", ALL)
def test_fp32_logits_equal_transformers(
    family: str, checkpoint: Checkpoint, written: WriteOnce, reference: Reference
) -> None:
    folder, ids = checkpoint(family), tokens(200)
    graph = written(folder, FP32)
    onnx.checker.check_model(str(graph / GRAPH), full_check=True)
    exact = reference_logits(reference(folder), ids)
    assert divergence(exact, Graph(graph).logits(ids)).max() < 1e-6


@pytest.mark.parametrize("family", ALL)
def test_64_greedy_tokens_of_fp32_equal_transformers(
    family: str, checkpoint: Checkpoint, written: WriteOnce, reference: Reference
) -> None:
    folder, prompt = checkpoint(family), tokens(40)
    found = Graph(written(folder, FP32)).greedy(prompt, 64)
    assert len(set(found)) > 5  # no loop that any graph would fall into
    assert found == reference_choices(reference(folder), prompt, found)


@pytest.mark.parametrize("family", ALL)
def test_parts_of_a_prompt_equal_one_pass(family: str, checkpoint: Checkpoint, written: WriteOnce) -> None:
    """So prefix reuse and prefill in chunks need no second graph."""
    folder, ids = written(checkpoint(family), FP32), tokens(120)
    graph = Graph(folder)
    parts = [graph.logits(ids[begin:end], begin) for begin, end in ((0, 50), (50, 51), (51, 51 + 69))]
    assert divergence(Graph(folder).logits(ids), torch.cat(parts)).max() < 1e-9


@pytest.mark.parametrize("family", ALL)
def test_attention_may_see_places_that_are_not_filled(
    family: str, checkpoint: Checkpoint, written: WriteOnce
) -> None:
    """A runtime that compiles for each shape rounds the number of places up; what lies there is masked."""
    folder, ids = written(checkpoint(family), FP32), tokens(60)
    graph = Graph(folder)
    graph.logits(tokens(CACHE_TOKENS, seed=1))  # of an earlier conversation
    for seen in (60, 64, CACHE_TOKENS):
        assert divergence(Graph(folder).logits(ids), graph.logits(ids, seen=seen)).max() < 1e-9


@pytest.mark.parametrize("family", FAMILIES)
def test_fp16_stays_close(
    family: str, checkpoint: Checkpoint, written: WriteOnce, reference: Reference
) -> None:
    folder, ids = checkpoint(family, standard_deviation=0.06), tokens(200)
    exact = reference_logits(reference(folder), ids)
    assert divergence(exact, Graph(written(folder, FP16)).logits(ids)).mean() < 1e-5


BOUNDS = {"int8": 1e-3, "int4": 8e-2, "fp8": 2e-2}
"""Random weights are the worst case: their quantisation errors do not average out."""


@pytest.mark.parametrize("precision", BOUNDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_quantised_graphs_stay_close(
    family: str, precision: str, checkpoint: Checkpoint, written: WriteOnce, reference: Reference
) -> None:
    folder, ids = checkpoint(family, standard_deviation=0.06), tokens(200)
    exact = reference_logits(reference(folder), ids)
    found = divergence(exact, Graph(written(folder, GraphFormat("fp32", precision))).logits(ids))
    print(f"{family} {precision}: KL {found.mean():.1e}, largest {found.max():.1e}")
    assert 0 < found.mean() < BOUNDS[precision]


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_an_int8_embedding_stays_close(
    precision: str, checkpoint: Checkpoint, written: WriteOnce, reference: Reference
) -> None:
    folder, ids = checkpoint("llama-tied", standard_deviation=0.06), tokens(200)
    exact = reference_logits(reference(folder), ids)
    form = GraphFormat("fp32", precision, int8_embedding=True)
    assert divergence(exact, Graph(written(folder, form)).logits(ids)).mean() < BOUNDS[precision]


@pytest.mark.parametrize("precision", ["int8", "int4"])
@pytest.mark.parametrize("family", ["llama-tied", "phi3", "gpt2"])
def test_the_graph_computes_with_the_quantised_weights(
    family: str, precision: str, checkpoint: Checkpoint, written: WriteOnce
) -> None:
    """transformers with the dequantised weights gives the same logits, up to fp32 rounding."""
    folder, ids = checkpoint(family), tokens(200)
    graph = Graph(written(folder, GraphFormat("fp32", precision, int8_embedding=True)), exact=True)
    exact = reference_logits(dequantised_model(folder, precision), ids)
    assert divergence(exact, graph.logits(ids)).max() < 1e-6
