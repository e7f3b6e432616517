"""The text decoder inside a checkpoint that also reads images: its config and its tensors."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.checkpoint.text_part import _DEFAULTS, text_name
from engines.plan.checkpoint.transformers_models import SAME_TEXT_MODEL, causal_model_types
from tests.engines.plan.folders import LLAMA, llama_shapes, write_checkpoint

LLAVA = {"architectures": ["LlavaForConditionalGeneration"], "model_type": "llava", "vision_config": {}}
TOWER = {"vision_tower.patch.weight": (64, 64), "multi_modal_projector.weight": (64, 64)}


def test_families_of_transformers_are_read_from_its_source() -> None:
    assert causal_model_types() == set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    assert set(SAME_TEXT_MODEL.values()) <= causal_model_types()
    assert not set(SAME_TEXT_MODEL) & causal_model_types()


@pytest.mark.parametrize("family", _DEFAULTS)
def test_defaults_are_those_of_transformers(family: str) -> None:
    config = AutoConfig.for_model(family)
    assert _DEFAULTS[family] == {name: getattr(config, name) for name in _DEFAULTS[family]}


@pytest.mark.parametrize("prefix", ["language_model.", "model.language_model.", "model.text_model."])
def test_tensors_of_the_text_part_are_counted(tmp_path: Path, prefix: str) -> None:
    """Names of transformers 4, of transformers 5 and of Idefics; the head is inside or outside."""
    alone = read_checkpoint(write_checkpoint(tmp_path / "alone"))
    inside = prefix == "language_model."
    shapes = {
        (f"{prefix}{name}" if inside else name.replace("model.", prefix, 1)): shape
        for name, shape in llama_shapes().items()
    }
    folder = write_checkpoint(tmp_path / "wrapper", LLAVA | {"text_config": LLAMA}, shapes | TOWER)
    wrapper = read_checkpoint(folder)
    assert (wrapper.weights, wrapper.shape, wrapper.model_type) == (alone.weights, alone.shape, "llama")
    assert wrapper.download_bytes > wrapper.weight_bytes + 2 * 64 * 64 * 4
    assert wrapper.is_text_part


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("language_model.model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight"),
        ("model.language_model.norm.weight", "model.norm.weight"),
        ("language_model.lm_head.weight", "lm_head.weight"),
        ("model.lm_head.weight", "lm_head.weight"),
        ("lm_head.weight", "lm_head.weight"),
        ("language_model.transformer.h.0.ln.weight", "transformer.h.0.ln.weight"),
        ("model.visual.blocks.0.attn.weight", ""),
        ("vision_tower.model.layers.0.weight", ""),
        ("mtp.layers.0.weight", ""),
    ],
)
def test_names_in_the_text_decoder(name: str, wanted: str) -> None:
    assert text_name(name) == wanted


def test_sizes_that_gemma_3_4b_leaves_out(tmp_path: Path) -> None:
    text = {"model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240,
            "num_hidden_layers": 34, "sliding_window": 1024}  # fmt: skip
    config = {
        "architectures": ["Gemma3ForConditionalGeneration"],
        "model_type": "gemma3",
        "text_config": text,
    }
    shape = read_checkpoint(write_checkpoint(tmp_path, config)).shape
    assert (shape.layers, shape.hidden, shape.heads, shape.kv_heads, shape.head_dim) == (34, 2560, 8, 4, 256)
    assert (shape.vocabulary, shape.max_positions, shape.sliding_window) == (262_208, 131_072, 1024)
