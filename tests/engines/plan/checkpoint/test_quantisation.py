"""Quantised checkpoints are described with the libraries that load them, and counted in parameters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.checkpoint.quantisation import find_quantisation
from tests.engines.plan.folders import LLAMA, safetensors, write_checkpoint


@pytest.mark.parametrize(
    ("config", "name", "bits", "loader"),
    [
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, "gptq", 4, "vLLM"),
        ({"quant_method": "awq", "bits": 4}, "awq", 4, "vLLM"),
        ({"load_in_4bit": True}, "bitsandbytes", 4, "bitsandbytes"),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "bitsandbytes", 8, "bitsandbytes"),
        ({"quant_method": "fp8"}, "fp8", 8, "FP8"),
        ({"quant_method": "mxfp4"}, "mxfp4", 4, "MXFP4"),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 4}}},
            },
            "compressed-tensors",
            4,
            "vLLM",
        ),
        ({"quant_method": "sorcery"}, "sorcery", None, "no backend is known"),
    ],
)
def test_configs_of_transformers(
    tmp_path: Path, config: dict[str, object], name: str, bits: int | None, loader: str
) -> None:
    found = find_quantisation(tmp_path, {"quantization_config": config})
    assert found is not None
    assert (found.name, found.bits) == (name, bits)
    assert loader in found.description


def test_modelopt_exports_have_an_algorithm_and_a_kv_cache_format(tmp_path: Path) -> None:
    exported = {
        "producer": {"name": "modelopt"},
        "quantization": {"quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8"},
    }
    (tmp_path / "hf_quant_config.json").write_text(json.dumps(exported))
    found = find_quantisation(tmp_path, {})
    assert found is not None
    assert (found.name, found.bits) == ("NVFP4", 4)
    assert "KV cache in FP8" in found.description
    assert "TensorRT-LLM" in found.description


def test_plain_weights_have_no_quantisation(tmp_path: Path) -> None:
    assert find_quantisation(tmp_path, LLAMA) is None


def test_terminal_codes_in_a_name_are_dropped(tmp_path: Path) -> None:
    found = find_quantisation(tmp_path, {"quantization_config": {"quant_method": "g\x1b[31mptq"}})
    assert found is not None
    assert "\x1b" not in found.description


def test_packed_weights_count_as_parameters_not_as_stored_integers(tmp_path: Path) -> None:
    config = LLAMA | {"quantization_config": {"quant_method": "gptq", "bits": 4}}
    folder = write_checkpoint(tmp_path, config)
    packed = {"model.layers.0.mlp.up_proj.qweight": (8, 128), "model.layers.0.mlp.up_proj.qzeros": (1, 16)}
    plain = {"model.embed_tokens.weight": (100, 64), "model.layers.0.mlp.up_proj.scales": (1, 128)}
    (folder / "model.safetensors").unlink()
    (folder / "a.safetensors").write_bytes(safetensors(packed, "I32"))
    (folder / "b.safetensors").write_bytes(safetensors(plain, "F16"))
    files = dict.fromkeys(packed, "a.safetensors") | dict.fromkeys(plain, "b.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
    assert read_checkpoint(folder).parameters == 64 * 128 + 100 * 64
