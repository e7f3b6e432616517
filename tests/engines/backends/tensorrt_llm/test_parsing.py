"""Mapping of parameters, log parsing and error translation, without an engine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from engines.backends.tensorrt_llm.arguments import pool_fraction, pool_tokens, wants_engine
from engines.backends.tensorrt_llm.build_log import BuildLogParser
from engines.backends.tensorrt_llm.failures import to_engine_error
from engines.backends.tensorrt_llm.model_folder import already_quantised
from engines.backends.tensorrt_llm.sampling_params import sampling_fields
from engines.backends.tensorrt_llm.start_log import StartLogParser
from engines.backends.tensorrt_llm.statistics import cache_stats
from engines.build.spec import EngineSpec
from engines.demo import CHECKPOINT
from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.kv_precision import resolved_kv
from engines.worker.protocol import Sampling
from tests.doubles.log_report import LogReport


def spec(precision: str) -> EngineSpec:
    """Return a spec for a GPU."""
    return EngineSpec("anywhere", "tensorrt-llm", precision, "cuda:0")


def test_greedy_is_top_k_1() -> None:
    fields = sampling_fields(Sampling(max_tokens=7), frozenset({5}))
    assert fields["top_k"] == 1
    assert "temperature" not in fields
    assert (fields["max_tokens"], fields["end_id"], fields["ignore_eos"]) == (7, 5, False)


def test_all_sampling_fields_are_mapped() -> None:
    expected: dict[str, Any] = {
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.05,
        "repetition_penalty": 1.1,
        "seed": 3,
    }
    fields = sampling_fields(Sampling(max_tokens=9, **expected), frozenset({5, 9}))
    assert {name: fields[name] for name in expected} == expected
    assert (fields["end_id"], fields["stop_token_ids"]) == (5, [9])


def test_with_ignore_eos_no_end_token_is_set() -> None:
    fields = sampling_fields(Sampling(ignore_eos=True), frozenset({5}))
    assert "end_id" not in fields
    assert fields["ignore_eos"]


def test_the_pool_holds_one_conversation() -> None:
    assert pool_tokens(512) == 576
    assert pool_tokens(1) == 96


def test_only_smoothquant_needs_an_engine() -> None:
    assert wants_engine(spec("int8-sq"))
    assert not wants_engine(spec("fp8"))
    assert wants_engine(EngineSpec("anywhere", "tensorrt-llm", "fp8", options={"runtime": "engine"}))


class RecordingReport(LogReport):
    """Records stages and progress."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def stage(self, name: str) -> None:
        """Record the stage."""
        self.calls.append(name)

    def progress(self, done: float, total: float, unit: str = "") -> None:
        """Record the progress."""
        self.calls.append((done, total, unit))

    def log(self, line: str) -> None:
        """Ignore log lines, which are the library's own."""


def test_the_log_of_a_build_is_parsed() -> None:
    report = RecordingReport()
    for line in ("Loading Model: [2/3]\tBuilding TRT-LLM engine", "Time: 1.0s", "Total latency: 37.655s"):
        BuildLogParser(report)(line)
    assert report.calls == [(1, 3, "steps")]


def test_stages_of_a_start_never_go_back() -> None:
    report = RecordingReport()
    lines = StartLogParser(report)
    lines.begin()
    graphs = ["[TRT-LLM] [I] Creating CUDA graph instances for 2 batch sizes."]
    graphs += [f"Run generation only CUDA graph warmup for batch size={size}, draft_len=0" for size in (2, 1)]
    for line in (
        "Loading weights in parallel:  50%|#####     | 1/2 [00:02<00:02,  2.01s/it]",
        "Loading weights:  50%|#####     | 300/617 [00:02<00:02,  2.01s/it]",
        "[Autotuner] Autotuning process starts ...",
        *graphs,
        "Run autotuning warmup for batch size=1",
        "something new",
    ):
        lines(line)
    weights = [(1, 2, "files"), (300, 617, "modules")]
    assert report.calls == ["load", *weights, "autotune", "CUDA graphs", (0, 2, "graphs"), (1, 2, "graphs")]


@pytest.mark.parametrize(
    "words",
    [
        "Run generation only CUDA graph warmup",
        "Run generation-only CUDA graph warmup (greedy)",
        "Run generation-only CUDA graph warmup (advanced sampling)",
        "Run CUDA graph warmup (greedy)",
    ],
)
def test_graphs_are_counted_in_every_release(words: str) -> None:
    report = RecordingReport()
    lines = StartLogParser(report)
    lines("Creating CUDA graph instances for 1 batch sizes.")
    lines(f"[TRT-LLM] [I] {words} for batch size=1, draft_len=0, max_seq_len=None")
    assert report.calls == ["CUDA graphs", (0, 1, "graphs")]


def test_invalid_statistics_are_ignored() -> None:
    good = {"maxNumBlocks": 8, "freeNumBlocks": 7, "usedNumBlocks": 1, "tokensPerBlock": 32, "new": None}
    records = [{"kvCacheStats": good}, {"kvCacheStats": None}, {}, {"kvCacheStats": {"maxNumBlocks": 8}}, "x"]
    assert cache_stats(records) == [good]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("_ZN3c10: undefined symbol: foo", "torch-mismatch"),
        ("is generated on an incompatible device, expecting compute 9.0 got compute 8.0", "other-gpu"),
        ("LLM got invalid argument: cuda_graph_config", "unknown-version"),
        ("Unsupported quantization_config: {'quant_method': 'gptq'}", "unsupported-checkpoint"),
        ("Could not find nvcc and default cuda_home='/usr/local/cuda' doesn't exist", "no-cuda-toolkit"),
        ("ninja failed: /bin/sh: 1: nvcc: not found", "no-cuda-toolkit"),
        ("something new", "engine-failed"),
    ],
)
def test_errors_of_the_library_are_translated(message: str, code: str) -> None:
    found = to_engine_error(RuntimeError(message), "starting")
    assert isinstance(found, EngineError)
    assert found.code == code
    assert found.hint


def quantised(folder: Path, config: dict[str, object]) -> Path:
    """Copy the demo checkpoint and add a quantization_config."""
    shutil.copytree(CHECKPOINT, folder)
    changed = json.loads((folder / "config.json").read_text()) | {"quantization_config": config}
    (folder / "config.json").write_text(json.dumps(changed))
    return folder


def test_plain_weights_are_not_quantised() -> None:
    assert already_quantised(spec("fp8"), CHECKPOINT) == ""


def test_an_unsupported_quantisation_is_refused(tmp_path: Path) -> None:
    folder = quantised(tmp_path / "gptq", {"quant_method": "gptq", "bits": 4})
    with pytest.raises(EngineError, match="does not load checkpoints quantised by gptq") as caught:
        already_quantised(spec("int4-awq"), folder)
    assert "plain checkpoint" in caught.value.hint


def test_an_export_of_modelopt_is_recognised(tmp_path: Path) -> None:
    folder = quantised(tmp_path / "fp8", {})
    described = {"quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": None}}
    (folder / "hf_quant_config.json").write_text(json.dumps(described))
    assert already_quantised(spec("fp8"), folder) == "FP8"
    with pytest.raises(EngineError, match="quantised to FP8 already") as caught:
        already_quantised(spec("nvfp4"), folder)
    assert "Choose fp8" in caught.value.hint


def raised_by_the_library(cause: Exception | None) -> RuntimeError:
    """Return the error that the library raises for `cause` in the engine's process."""
    try:
        if cause is None:
            raise RuntimeError("Executor worker died during initialization")
        raise RuntimeError("Executor worker returned error") from cause
    except RuntimeError as error:
        return error


@pytest.mark.parametrize(
    ("cause", "code"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), "out-of-memory"),
        (RuntimeError("CUDA error: out of memory"), "out-of-memory"),
        (ValueError("Unknown architecture for AutoModelForCausalLM: XForCausalLM"), "unsupported-checkpoint"),
        (NotImplementedError("Unsupported quantization_config: {}."), "unsupported-checkpoint"),
        (RuntimeError("All nodes which are allocated for this job are already filled."), "no-mpi"),
        (RuntimeError("Could not find nvcc and default cuda_home"), "no-cuda-toolkit"),
        (RuntimeError('Attempting to override KV cache quantization "NVFP4" with'), "other-kv-precision"),
        (RuntimeError("RMSNorm failed to dispatch data type Float"), "unsupported-precision"),
    ],
)
def test_the_cause_in_the_engines_process_decides(cause: Exception, code: str) -> None:
    """The outer error has the same text for all of them."""
    found = to_engine_error(raised_by_the_library(cause), "starting")
    assert found.code == code
    assert found.hint


def test_an_unknown_cause_is_quoted() -> None:
    found = to_engine_error(raised_by_the_library(RuntimeError("shape mismatch\nmore")), "starting")
    assert found.code == "engine-failed"
    assert found.message == "TensorRT-LLM failed while starting: shape mismatch"


def test_a_process_that_died_is_explained_by_the_log() -> None:
    """It leaves no cause. Ordinary lines of the log are no explanation."""
    ordinary = [
        'KV cache quantization set to "auto". Using checkpoint KV quantization.',
        "GPUs are available: 1",
    ]
    death = raised_by_the_library(None)
    lines = [*ordinary, "[E] Executor creation failed due to insufficient GPU memory."]
    assert to_engine_error(death, "starting", lines).code == "out-of-memory"
    unexplained = to_engine_error(death, "starting", ordinary)
    assert unexplained.code == "engine-failed"
    assert "ended while starting" in unexplained.message


def test_the_pool_of_a_fraction_holds_the_context() -> None:
    assert pool_fraction(8 * 10**9, 10 * 10**9, 50 * 10**9) == pytest.approx(0.25)
    assert pool_fraction(1, 10 * 10**9, 50 * 10**9) == 0.01
    assert pool_fraction(80 * 10**9, 10 * 10**9, 50 * 10**9) == 0.9
    assert pool_fraction(1, 10 * 10**9, None) is None


@pytest.mark.parametrize(("algorithm", "kv_precision"), [("FP8", "fp8"), ("NVFP4", "nvfp4"), (None, "bf16")])
def test_the_checkpoint_defines_the_kv_cache(
    algorithm: str | None, kv_precision: str, tmp_path: Path
) -> None:
    folder = quantised(tmp_path / "fp8", {})
    described = {"quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": algorithm}}
    (folder / "hf_quant_config.json").write_text(json.dumps(described))
    found = read_checkpoint(folder).quantisation
    assert resolved_kv("tensorrt-llm", "fp8", "auto", found) == kv_precision
