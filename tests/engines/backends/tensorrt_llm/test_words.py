"""What is mapped, read and refused without any engine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from engines.backends.tensorrt_llm.arguments import pool_tokens, wants_engine
from engines.backends.tensorrt_llm.build_lines import BuildLines
from engines.backends.tensorrt_llm.failures import in_words
from engines.backends.tensorrt_llm.model_folder import already_quantised
from engines.backends.tensorrt_llm.sampling_params import sampling_fields
from engines.backends.tensorrt_llm.start_lines import StartLines
from engines.backends.tensorrt_llm.statistics import cache_stats
from engines.build.spec import EngineSpec
from engines.demo import CHECKPOINT
from engines.errors import EngineError
from engines.worker.protocol import Sampling
from engines.worker.report import QuietReport


def spec(precision: str) -> EngineSpec:
    """On a GPU."""
    return EngineSpec("anywhere", "tensorrt-llm", precision, "cuda:0")


def test_greedy_is_one_token_wide() -> None:
    fields = sampling_fields(Sampling(max_tokens=7), frozenset({5}))
    assert fields["top_k"] == 1
    assert "temperature" not in fields
    assert (fields["max_tokens"], fields["end_id"], fields["ignore_eos"]) == (7, 5, False)


def test_every_field_has_its_place() -> None:
    sampling = Sampling(9, 0.7, 0.9, 40, 0.05, 1.1, 3)
    fields = sampling_fields(sampling, frozenset({5, 9}))
    expected = {
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.05,
        "repetition_penalty": 1.1,
        "seed": 3,
    }
    assert {name: fields[name] for name in expected} == expected
    assert (fields["end_id"], fields["stop_token_ids"]) == (5, [9])


def test_what_ends_nothing_is_not_named() -> None:
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


class Notes(QuietReport):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def stage(self, name: str) -> None:
        """A stage."""
        self.told.append(name)

    def progress(self, done: float, total: float, unit: str = "") -> None:
        """Progress."""
        self.told.append((done, total, unit))

    def log(self, line: str) -> None:
        """A line: told by the library itself."""


def test_stage_lines_of_a_build() -> None:
    notes = Notes()
    for line in ("Loading Model: [2/3]\tBuilding TRT-LLM engine", "Time: 1.0s", "Total latency: 37.655s"):
        BuildLines(notes)(line)
    assert notes.told == [(1, 3, "steps")]


def test_stages_of_a_start_go_forwards_only() -> None:
    notes = Notes()
    lines = StartLines(notes)
    lines.begin()
    graphs = ["[TRT-LLM] [I] Creating CUDA graph instances for 2 batch sizes."]
    graphs += [f"Run generation only CUDA graph warmup for batch size={size}, draft_len=0" for size in (2, 1)]
    for line in (
        "Loading weights in parallel:  50%|#####     | 1/2 [00:02<00:02,  2.01s/it]",
        "[Autotuner] Autotuning process starts ...",
        *graphs,
        "Run autotuning warmup for batch size=1",
        "something new",
    ):
        lines(line)
    files, first, second = (1, 2, "files"), (0, 2, "graphs"), (1, 2, "graphs")
    assert notes.told == ["load", files, "autotune", "CUDA graphs", first, second]


def test_statistics_are_read_with_tolerance() -> None:
    good = {"maxNumBlocks": 8, "freeNumBlocks": 7, "usedNumBlocks": 1, "tokensPerBlock": 32, "new": None}
    records = [{"kvCacheStats": good}, {"kvCacheStats": None}, {}, {"kvCacheStats": {"maxNumBlocks": 8}}, "x"]
    assert cache_stats(records) == [good]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("_ZN3c10: undefined symbol: foo", "torch-mismatch"),
        ("is generated on an incompatible device, expecting compute 9.0 got compute 8.0", "other-gpu"),
        ("LLM got invalid argument: cuda_graph_config", "unknown-version"),
        ("Unsupported quantization_config: {'quant_method': 'gptq'}", "unsupported-checkpoint"),
        ("something new", "engine-failed"),
    ],
)
def test_what_the_library_says_becomes_words(said: str, code: str) -> None:
    found = in_words(RuntimeError(said), "starting")
    assert isinstance(found, EngineError)
    assert found.code == code
    assert found.hint


def quantised(folder: Path, config: dict[str, object]) -> Path:
    """The demo, as if it had been quantised."""
    shutil.copytree(CHECKPOINT, folder)
    whole = json.loads((folder / "config.json").read_text()) | {"quantization_config": config}
    (folder / "config.json").write_text(json.dumps(whole))
    return folder


def test_plain_weights_are_not_quantised() -> None:
    assert already_quantised(spec("fp8"), CHECKPOINT) == ""


def test_what_nobody_exported_for_it_is_refused(tmp_path: Path) -> None:
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
