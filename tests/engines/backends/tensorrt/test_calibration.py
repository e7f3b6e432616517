"""INT8 weights and activations: scales by ModelOpt, numbers by ONNX Runtime, a plan by the real builder."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch

from engines.backends.calibration_texts import calibration_texts
from engines.backends.onnxruntime.runner import OnnxRunner
from engines.backends.tensorrt.activation_scales import activation_scales
from engines.backends.tensorrt.backend import TensorRTBackend
from engines.backends.tensorrt.samples import SAMPLES, calibration_samples
from engines.build.spec import CALIBRATION, EngineSpec
from engines.demo import CHECKPOINT
from engines.errors import EngineError
from engines.onnx.decoder_graph import GraphFormat, write_graph
from engines.onnx.folder import GRAPH
from engines.plan.checkpoint.tensors import tensor_entries
from engines.plan.decoder.decoder import read_decoder
from engines.weights.reader import WeightReader
from tests.doubles.recording_report import RecordingReport
from tests.engines.backends.tensorrt.conftest import spec_of


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's own calibration texts, as a user's file."""
    file = tmp_path_factory.mktemp("texts") / "mine.txt"
    file.write_text("\n".join(calibration_texts("")))
    return file


def calibrated(checkpoint: Path, text: Path, **options: str) -> EngineSpec:
    spec = spec_of(checkpoint, "int8")
    return EngineSpec.from_json(
        spec.to_json() | {"options": spec.options | {CALIBRATION: str(text)} | options}
    )


def logits(folder: Path, ids: list[int], precision: str, scales: dict[str, float]) -> torch.Tensor:
    folder.mkdir()
    decoder = read_decoder(CHECKPOINT)
    reader = WeightReader(tensor_entries(CHECKPOINT))
    write_graph(decoder, reader, folder, GraphFormat("fp32", precision, None, scales))
    onnx.checker.check_model(str(folder / GRAPH), full_check=True)
    return torch.cat(list(OnnxRunner(folder, decoder, 512).append(ids, 0, all_rows=True))).log_softmax(-1)


def test_what_rounding_the_activations_costs(tmp_path: Path, text: Path) -> None:
    """Each product but those after a gate has a scale; the KL divergence is printed for the documentation."""
    decoder, samples = read_decoder(CHECKPOINT), calibration_samples(CHECKPOINT, str(text))
    assert len(samples) == SAMPLES
    scales = activation_scales(decoder, WeightReader(tensor_entries(CHECKPOINT)), samples, tmp_path)
    parts = ("attention/query", "attention/key", "attention/value", "attention/output", "mlp/gate", "mlp/up")
    assert set(scales) == {f"layers.{layer}/{part}" for layer in range(8) for part in parts}
    assert all(0 < scale < 10 for scale in scales.values())
    assert not list(tmp_path.iterdir()), "temporary files are removed"
    ids = calibration_samples(CHECKPOINT, str(text))[0][:100]
    exact = logits(tmp_path / "fp32", ids, "fp32", {}).double()
    found = {}
    for name, given in (("weights", {}), ("weights and activations", scales)):
        rounded = logits(tmp_path / name, ids, "int8", given).double()
        found[name] = float((exact.exp() * (exact - rounded)).sum(-1).mean())
    print(found)
    assert 0 < found["weights"] < found["weights and activations"] < 0.1


def test_a_plan_with_int8_activations(tmp_path: Path, text: Path) -> None:
    """It builds for an RTX 30, with one pair of conversions for inputs that several products share."""
    report = RecordingReport()
    TensorRTBackend().prepare(calibrated(CHECKPOINT, text, target="sm86"), CHECKPOINT, tmp_path, report)
    assert f"calibrating activations with {SAMPLES} texts" in report.lines
    model = onnx.load(tmp_path / GRAPH, load_external_data=False)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("QuantizeLinear") == 3 * 8  # of each layer: query, key and value; output; gate and up
    assert (tmp_path / "model.plan").stat().st_size > 10_000_000


def test_gpt2_is_calibrated_too(tmp_path: Path, gpt2: Path, text: Path) -> None:
    """Its fused projections have one scale each."""
    decoder, samples = read_decoder(gpt2), calibration_samples(gpt2, str(text))
    scales = activation_scales(decoder, WeightReader(tensor_entries(gpt2)), samples[:4], tmp_path)
    parts = ("attention/query_key_value", "attention/output", "mlp/up")
    assert set(scales) == {f"layers.{layer}/{part}" for layer in range(2) for part in parts}


def test_texts_of_a_few_tokens_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "short.jsonl"
    text.write_text('{"text": "Hi there."}\n' * 200)
    with pytest.raises(EngineError, match="too short for this tokenizer"):
        calibration_samples(CHECKPOINT, str(text))


def test_modelopt_is_named_where_it_is_missing(
    tmp_path: Path, text: Path, llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "modelopt.onnx.quantization", None)
    with pytest.raises(EngineError, match="Calibration needs NVIDIA ModelOpt") as refused:
        TensorRTBackend().prepare(calibrated(llama, text), llama, tmp_path, RecordingReport())
    assert "tensorrt-calibration" in refused.value.hint
