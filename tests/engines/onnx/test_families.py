"""Logits of ONNX graphs equal those of transformers, past every window, for the families that have graphs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from engines.onnx.decoder_graph import GraphFormat
from tests.engines.measures import divergence, reference_logits, tokens
from tests.engines.onnx.graphs import Graph, write
from tests.families import make_checkpoint

DIFFERENT = (
    "arcee", "command-r", "command-r7b", "ernie4.5-0.3b", "exaone4-32b", "gemma", "gemma2",
    "gemma3-text-pattern", "glm4", "granite4-micro", "hunyuan-dense", "ministral3-text", "nemotron-mini",
    "olmo", "olmo3", "phi2", "phi3-mini-4k", "phi4-mini", "qwen2.5-sliding", "qwen2.5-yarn", "stablelm2",
    "starcoder2",
)  # fmt: skip
"""One family for each way in which the graph differs; OpenVINO's tests run all of them."""
PROMPT_TOKENS = 150


@pytest.mark.parametrize("family", DIFFERENT)
def test_logits_equal_transformers(family: str, tmp_path: Path) -> None:
    checkpoint = make_checkpoint(family, tmp_path / "checkpoint")
    (tmp_path / "graph").mkdir()
    graph = Graph(write(checkpoint, tmp_path / "graph", GraphFormat("fp32", "fp32")))
    ids = tokens(200, vocabulary=4096)
    parts = [graph.logits(ids[:PROMPT_TOKENS]), graph.logits(ids[PROMPT_TOKENS:], PROMPT_TOKENS)]
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    assert divergence(reference_logits(model, ids), torch.cat(parts)).max() < 1e-6
