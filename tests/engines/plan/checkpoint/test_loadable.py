"""Checkpoints that TensorRT-LLM does not load are recognised from two JSON files of a hub cache."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.environments.interpreters import Interpreter, register
from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.checkpoint.hub_cache import hub_cache_checkpoints
from engines.plan.checkpoint.loadable import refuse_unloadable, support_of
from engines.plan.hardware.hardware import Device
from tests.engines.plan.folders import LLAMA, write_checkpoint

B200 = Device("cuda:0", "cuda", "NVIDIA B200", None, None, compute_capability=(10, 0))
H200 = Device("cuda:0", "cuda", "NVIDIA H200", None, None, compute_capability=(9, 0))


@pytest.fixture(autouse=True)
def with_environment() -> Iterator[None]:
    """Register an environment with TensorRT-LLM."""
    register("tensorrt-llm", Interpreter("python"))
    yield
    register("tensorrt-llm", None)


def cached(cache: Path, config: dict[str, object], modelopt: str = "") -> Path:
    """Write a checkpoint into a hub cache and return its snapshot folder."""
    model = cache / "models--org--name"
    folder = write_checkpoint(model / "snapshots" / ("a" * 40), LLAMA | config)
    if modelopt:
        described = {"quantization": {"quant_algo": modelopt}}
        (folder / "hf_quant_config.json").write_text(json.dumps(described))
    (found,) = hub_cache_checkpoints(cache)
    return found.folder


@pytest.mark.parametrize(
    ("config", "modelopt", "reason"),
    [
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "", "quantised by gptq"),
        ({"quantization_config": {"quant_method": "awq", "bits": 4}}, "", "quantised by awq"),
        ({"quantization_config": {"quant_method": "gguf"}}, "", "quantised by gguf"),
        ({"quantization_config": {"quant_method": "mxfp4"}}, "", "no such precision"),
        ({}, "W8A8_SQ_PER_CHANNEL", "does not load such checkpoints"),
        ({"architectures": ["GPT2LMHeadModel"]}, "", "does not support GPT2LMHeadModel"),
    ],
)
def test_unsupported_checkpoints_are_refused(
    tmp_path: Path, config: dict[str, object], modelopt: str, reason: str
) -> None:
    folder = cached(tmp_path, config, modelopt)
    found = support_of("tensorrt-llm", "fp8", H200, read_checkpoint(folder))
    assert found.state == "unavailable"
    assert reason in found.reason
    assert found.remedy
    with pytest.raises(EngineError, match=reason):
        refuse_unloadable("tensorrt-llm", folder)


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime", "tensorrt", "pytorch", "compiled"])
@pytest.mark.parametrize("method", ["gptq", "bitsandbytes"])
def test_a_quantised_checkpoint_without_its_library_is_refused_before_the_download(
    tmp_path: Path, backend: str, method: str
) -> None:
    """Neither gptqmodel nor bitsandbytes is installed, and no graph is built from packed weights."""
    folder = cached(tmp_path, {"quantization_config": {"quant_method": method, "bits": 4}})
    with pytest.raises(EngineError) as caught:
        refuse_unloadable(backend, folder)
    assert caught.value.code == "unsupported-checkpoint"
    assert "already quantised" in caught.value.message.lower()


@pytest.mark.parametrize(("algorithm", "precision"), [("FP8", "fp8"), ("W4A8_AWQ", "w4a8-awq")])
def test_an_export_of_modelopt_has_one_precision(tmp_path: Path, algorithm: str, precision: str) -> None:
    folder = cached(tmp_path, {}, algorithm)
    checkpoint = read_checkpoint(folder)
    assert support_of("tensorrt-llm", precision, H200, checkpoint).state == "native"
    other = support_of("tensorrt-llm", "bf16", H200, checkpoint)
    assert other.state == "unavailable"
    assert "already quantised" in other.reason
    refuse_unloadable("tensorrt-llm", folder)


def test_a_model_in_neither_list_is_tried(tmp_path: Path) -> None:
    folder = cached(tmp_path, {"architectures": ["NovelForCausalLM"]})
    found = support_of("tensorrt-llm", "bf16", H200, read_checkpoint(folder))
    assert found.state == "partial"
    assert "does not include NovelForCausalLM" in found.reason
    refuse_unloadable("tensorrt-llm", folder)


def test_plain_weights_of_a_listed_model_have_the_state_of_the_table(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(cached(tmp_path, {}))
    assert support_of("tensorrt-llm", "fp8", H200, checkpoint).state == "native"
    assert support_of("tensorrt-llm", "fp8", H200, None).state == "native"


@pytest.mark.parametrize(
    ("release", "model", "state"),
    [
        (
            "",
            "AfmoeForCausalLM",
            "unavailable",
        ),  # of an interpreter that does not tell: as the default recipe
        ("1.2.1", "AfmoeForCausalLM", "unavailable"),
        ("1.3.0rc15", "AfmoeForCausalLM", "unavailable"),
        ("1.3.0rc16", "AfmoeForCausalLM", "partial"),  # unknown: it is tried
        ("1.3.0rc20", "AfmoeForCausalLM", "native"),
        ("1.2.1", "Cohere2ForCausalLM", "unavailable"),
        ("1.3.0rc13", "Cohere2ForCausalLM", "native"),
        ("1.3.0rc20", "Qwen3_5MoeForCausalLM", "unavailable"),
        ("1.4.0rc1", "Qwen3_5MoeForCausalLM", "native"),
        ("1.10.0", "Qwen3_5MoeForCausalLM", "native"),
        ("own build", "Qwen3_5MoeForCausalLM", "native"),
        ("1.2.1", "LlamaForCausalLM", "native"),
        ("1.4.0rc1", "MiniMaxM2ForCausalLM", "partial"),  # only AutoDeploy runs it
    ],
)
def test_a_model_that_the_installed_release_lacks_is_refused_before_the_download(
    tmp_path: Path, release: str, model: str, state: str
) -> None:
    register("tensorrt-llm", Interpreter("python", version=release))
    folder = cached(tmp_path, {"architectures": [model]})
    found = support_of("tensorrt-llm", "bf16", H200, read_checkpoint(folder))
    assert found.state == state, found.reason
    if state != "unavailable":
        refuse_unloadable("tensorrt-llm", folder)
        return
    assert f"TensorRT-LLM {release or '1.2.1'} does not support {model}; 1." in found.reason
    assert "env create tensorrt-llm --release 1.4.0rc1" in found.remedy
    with pytest.raises(EngineError, match=f"does not support {model}"):
        refuse_unloadable("tensorrt-llm", folder)


def test_without_an_environment_the_release_that_would_be_installed_counts(tmp_path: Path) -> None:
    register("tensorrt-llm", None)
    with pytest.raises(
        EngineError, match=r"TensorRT-LLM 1\.2\.1 does not support LagunaForCausalLM; 1\.4\.0rc1"
    ):
        refuse_unloadable("tensorrt-llm", cached(tmp_path, {"architectures": ["LagunaForCausalLM"]}))


def test_a_worker_knows_the_release_from_its_own_interpreter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is registered there."""
    register("tensorrt-llm", None)
    monkeypatch.setattr("engines.plan.support.release._installed", lambda _: "1.4.0rc1")
    refuse_unloadable("tensorrt-llm", cached(tmp_path, {"architectures": ["LagunaForCausalLM"]}))


def test_a_model_for_blackwell_is_refused_on_another_gpu(tmp_path: Path) -> None:
    register("tensorrt-llm", Interpreter("python", version="1.4.0rc1"))
    checkpoint = read_checkpoint(cached(tmp_path, {"architectures": ["DeepseekV4ForCausalLM"]}))
    found = support_of("tensorrt-llm", "bf16", H200, checkpoint)
    assert (found.state, "Blackwell" in found.reason) == ("unavailable", True)
    assert support_of("tensorrt-llm", "bf16", B200, checkpoint).state == "native"
