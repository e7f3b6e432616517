"""Greedy tokens of fp32 engines equal those of transformers, past every window, for each family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.decoder.decoder_config import parse_config, refuse_unsupported_fields
from engines.plan.estimate.estimate import estimate
from engines.plan.hardware.hardware import Device
from tests.engines.backends.openvino.conftest import Build, Load
from tests.engines.measures import answer, reference_choices, tokens
from tests.families import CONFIGS, FAMILIES, WRAPPERS, make_checkpoint

PROMPT_TOKENS, NEW_TOKENS = 40, 72
"""Windows of the families have 32 tokens."""
REFUSED = {
    name: reason
    for reason, names in {
        "architecture": (
            "apertus", "bamba", "bloom", "deepseek-v2-lite", "deepseek-v3", "dots1", "ernie4.5-moe",
            "falcon-40b", "falcon-7b", "falcon-h1", "gemma3n-text", "glm4.5-air",
            "gpt-oss", "granite3-moe", "hunyuan-moe", "jamba", "lfm2", "lfm2-350m", "lfm2-moe", "llama4-text",
            "mamba", "minicpm3", "minimax-text", "mixtral", "mpt", "nemotron-h", "olmo-hybrid", "olmoe",
            "opt", "phi3.5-moe", "pythia", "qwen2-moe", "qwen3-moe", "qwen3-next", "qwen3.5", "qwen3.5-moe",
            "qwen3.5-text", "recurrentgemma", "starcoder",
        ),
        "num_local_experts": ("granite4-h",),
    }.items()
    for name in names
}  # fmt: skip
"""Families that no graph is built for, with a part of the reason given."""
SOFT_CAP = "gemma2"
"""ONNX Runtime computes it."""
BUILT = [name for name in FAMILIES if name not in (*REFUSED, SOFT_CAP)]


@pytest.mark.parametrize("family", BUILT)
def test_greedy_tokens_equal_transformers(family: str, load: Load, tmp_path: Path) -> None:
    folder = make_checkpoint(family, tmp_path / "checkpoint")
    prompt = tokens(PROMPT_TOKENS, vocabulary=4096)
    given = answer(load(folder), prompt, NEW_TOKENS)
    assert len(given) == NEW_TOKENS
    assert given == reference_choices(_model(folder, family), prompt, given)


def _model(folder: Path, family: str) -> Any:
    kind = AutoModelForImageTextToText if family in WRAPPERS else AutoModelForCausalLM
    return kind.from_pretrained(folder, dtype=torch.float32).eval()


@pytest.mark.parametrize("family", REFUSED)
def test_others_are_refused_with_the_reason(family: str) -> None:
    with pytest.raises(EngineError) as caught:
        refuse_unsupported_fields(parse_config(CONFIGS[family]))
    assert caught.value.code == "unsupported-architecture"
    assert REFUSED[family] in caught.value.message


def test_a_soft_cap_of_scores_is_refused(build: Build, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="a soft cap of the attention scores"):
        build(make_checkpoint(SOFT_CAP, tmp_path / "checkpoint"))


@pytest.mark.parametrize("family", ["gemma3-text", "gemma4-text", "phi3-mini-4k"])
def test_the_kv_cache_has_the_estimated_size(family: str, load: Load, tmp_path: Path) -> None:
    """The pool keeps the keys of the whole context in layers with a window, and in those that share them."""
    folder = make_checkpoint(family, tmp_path / "checkpoint")
    usage = load(folder, context=1024).kv_usage()
    assert usage is not None
    device = Device("cpu", "cpu", "CPU", None, None)
    assert usage.bytes_total == estimate(read_checkpoint(folder), "openvino", "fp32", "auto", 1024, device).kv
