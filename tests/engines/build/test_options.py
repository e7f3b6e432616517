"""Options that only some engines take: which they are, and what cannot be had."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from engines.backends.registry import BACKENDS
from engines.backends.tensorrt_llm.quantise import CONFIGURATIONS
from engines.build.options import calibrates, options_of, refuse_split, resolve_options
from engines.build.rebuild_reason import changes, same_request
from engines.build.spec import (
    CALIBRATED,
    CALIBRATION,
    RECIPE,
    EngineSpec,
    fingerprint,
    fingerprint_inputs,
)
from engines.errors import EngineError
from engines.plan.calibration import WITHOUT
from engines.plan.checkpoint.checkpoint import Checkpoint, read_checkpoint
from tests.doubles.nvml import Gpu, Nvml
from tests.engines.plan.folders import LLAMA, write_checkpoint

SPEC = EngineSpec("anywhere", "tensorrt-llm", "fp8", "cuda:0")
ENOUGH = "What people really ask. " * 100


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    """A Llama with two KV heads."""
    write_checkpoint(tmp_path / "llama", LLAMA)
    return read_checkpoint(tmp_path / "llama")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """Enough to calibrate with."""
    file = tmp_path / "mine.txt"
    file.write_text(ENOUGH)
    return file


@pytest.fixture
def _four_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setitem(sys.modules, "pynvml", Nvml(tuple(Gpu(uuid=f"GPU-{n}") for n in range(4))))


def with_options(**options: str) -> EngineSpec:
    return replace(SPEC, options=options)


def test_what_calibrates_is_what_modelopt_makes() -> None:
    assert BACKENDS["tensorrt-llm"].calibrates == CONFIGURATIONS.keys()


def test_only_what_an_engine_takes_becomes_an_option() -> None:
    """Another file must not make another OpenVINO engine."""
    both = {"calibration": "~/mine.txt", "tensor_parallel_size": "2"}
    assert options_of("tensorrt-llm", "fp8", "~/mine.txt", 2) == both
    assert options_of("tensorrt-llm", "bf16", "~/mine.txt", 2) == {"tensor_parallel_size": "2"}
    assert options_of("compiled", "int8", "~/mine.txt", 2) == {"tensor_parallel_size": "2"}
    assert options_of("pytorch", "bf16", "~/mine.txt", 2) == {"tensor_parallel_size": "2"}
    for backend in ("openvino", "no-such-backend"):
        assert options_of(backend, "int8", "~/mine.txt", 2) == {}
    assert options_of("tensorrt-llm", "fp8") == {}


def test_the_recipe_of_int4_is_an_option_unless_the_user_wants_none() -> None:
    assert options_of("openvino", "int4") == {RECIPE: CALIBRATED}
    assert options_of("openvino", "int4", WITHOUT) == {}
    assert options_of("openvino", "int4", "~/mine.txt") == {RECIPE: CALIBRATED, CALIBRATION: "~/mine.txt"}
    assert options_of("openvino", "int4-awq", WITHOUT) == {}
    assert options_of("tensorrt-llm", "fp8", WITHOUT) == {}


def test_engines_of_different_recipes_are_different_engines(checkpoint: Checkpoint) -> None:
    """What an older release built is the engine without calibration, and stays usable."""
    old = EngineSpec(str(checkpoint.folder), "openvino", "int4")
    new = replace(old, options=options_of("openvino", "int4"))
    before, now = (
        fingerprint_inputs(resolve_options(spec, checkpoint)[0], checkpoint.identity, {})
        for spec in (old, new)
    )
    assert fingerprint(before) == fingerprint(fingerprint_inputs(old, checkpoint.identity, {}))
    assert fingerprint(before) != fingerprint(now)
    assert same_request(old, before, new, now)
    assert changes(before, now) == "the recipe of the weights changed from uncalibrated to calibrated"
    assert not same_request(old, before, replace(new, precision="int8"), now)


def test_the_fingerprint_changes_with_the_text_and_not_with_its_place(
    checkpoint: Checkpoint, text: Path
) -> None:
    def inputs(file: Path) -> dict[str, str]:
        spec, contents = resolve_options(with_options(calibration=str(file)), checkpoint)
        assert spec.calibration == str(file)
        return fingerprint_inputs(spec, checkpoint.identity, {}, contents)

    before = inputs(text)
    assert fingerprint(before) != fingerprint(fingerprint_inputs(SPEC, checkpoint.identity, {}))
    copy = text.rename(text.with_name("moved.txt"))
    assert inputs(copy) == before
    copy.write_text(ENOUGH.upper())
    assert fingerprint(inputs(copy)) != fingerprint(before)
    assert changes(before, inputs(copy)) == "the calibration text changed"


@pytest.mark.usefixtures("_four_gpus")
def test_the_number_of_gpus_is_in_the_fingerprint(checkpoint: Checkpoint) -> None:
    one, two = (fingerprint_inputs(spec, {}, {}) for spec in (SPEC, with_options(tensor_parallel_size="2")))
    assert fingerprint(one) != fingerprint(two)


def test_a_checkpoint_that_is_quantised_already_is_not_calibrated(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    """Its file is not even looked for."""
    described = {"quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": None}}
    (checkpoint.folder / "hf_quant_config.json").write_text(json.dumps(described))
    quantised = read_checkpoint(checkpoint.folder)
    assert not calibrates("tensorrt-llm", "fp8", quantised)
    assert resolve_options(with_options(calibration="/no/such/file"), quantised) == (SPEC, {})


def test_a_text_that_cannot_be_used_is_said_before_anything_is_built(checkpoint: Checkpoint) -> None:
    with pytest.raises(EngineError, match="cannot be used"):
        resolve_options(with_options(**{CALIBRATION: "/no/such/none.txt"}), checkpoint)


@pytest.mark.usefixtures("_four_gpus")
def test_splits_that_cannot_be_had_are_said_in_words(checkpoint: Checkpoint) -> None:
    refuse_split("tensorrt-llm", 1)
    refuse_split("tensorrt-llm", 2, checkpoint)
    with pytest.raises(EngineError, match="3 is not possible on this machine") as caught:
        refuse_split("tensorrt-llm", 3)
    assert caught.value.hint == "Choose 1, 2 or 4."
    with pytest.raises(EngineError, match="2 KV heads of this checkpoint") as caught:
        refuse_split("tensorrt-llm", 4, checkpoint)
    assert caught.value.hint == "Choose 1 or 2."
    refuse_split("pytorch", 4, checkpoint)  # whole layers: heads are not divided
    with pytest.raises(EngineError, match="OpenVINO runs on one GPU") as caught:
        refuse_split("openvino", 2)
    assert caught.value.hint == "Choose 1."


def test_a_spec_names_its_devices() -> None:
    assert SPEC.devices == ("cuda:0",)
    assert replace(SPEC, device="cuda:1", options={"tensor_parallel_size": "2"}).devices == (
        "cuda:1",
        "cuda:2",
    )
    assert EngineSpec("a", "openvino", "int8").devices == ("cpu",)
