"""Calibrated int4 engines: what the inputs are like, and what calibration is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from engines.backends.calibration_rows import ROW_TOKENS, ROWS, calibration_rows
from engines.backends.calibration_texts import calibration_texts
from engines.backends.openvino import calibration
from engines.backends.openvino.backend import OpenVINOBackend
from engines.backends.openvino.calibration import calibrate
from engines.build.spec import CALIBRATED, CALIBRATION, RECIPE, EngineSpec
from engines.demo import CHECKPOINT
from engines.errors import EngineError
from engines.plan.checkpoint.tensors import tensor_entries
from engines.plan.decoder.decoder import Decoder, read_decoder
from engines.weights.folded_reader import FoldedReader
from engines.weights.int4_recipe import INT8_SHARE
from tests.doubles.recording_report import RecordingReport
from tests.engines.backends.openvino.measures import compiled, engine_logits
from tests.engines.conftest import Checkpoint
from tests.engines.measures import divergence, reference_logits, tokens

CALIBRATED_INT4 = ("int4", {RECIPE: CALIBRATED})


def built(folder: Path, directory: Path, precision: str, options: dict[str, str] | None = None) -> Any:
    """Build an engine; return its compiled graph and the report."""
    directory.mkdir()
    report = RecordingReport()
    spec = EngineSpec(str(folder), "openvino", precision, options=options or {})
    OpenVINOBackend().prepare(spec, folder, directory, report)
    return compiled(directory, "f32"), report


@pytest.mark.parametrize("family", ["llama-biased", "qwen3", "phi3", "gpt2"])
def test_the_mean_squares_are_those_of_transformers(
    family: str, checkpoint: Checkpoint, reference: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = checkpoint(family)
    decoder, rows = read_decoder(folder), [tokens(50, seed) for seed in (1, 2)]
    model, expected = reference(folder), dict[str, Any]()

    def keep(name: str) -> Any:
        return lambda module, inputs, output: expected.update(
            {f"{name}.weight": (inputs[0] ** 2).mean((0, 1)).numpy()}
        )

    names = {linear.weight.removesuffix(".weight") for linear in decoder.linears[:-1]}
    hooks = [
        module.register_forward_hook(keep(name)) for name, module in model.named_modules() if name in names
    ]
    with torch.no_grad():
        model(torch.tensor(rows))
    for hook in hooks:
        hook.remove()
    monkeypatch.setattr(calibration, "fold_scales", lambda *_, **__: None)
    _, recipe = calibrate(decoder, tensor_entries(folder), rows)
    assert recipe.power.keys() == expected.keys()
    for name, power in recipe.power.items():  # the embedding was in int8
        assert power == pytest.approx(expected[name], rel=0.1, abs=0.02 * expected[name].mean())


def test_a_calibrated_engine_is_closer_to_the_checkpoint(tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(CHECKPOINT, dtype=torch.float32).eval()
    tokenizer = Tokenizer.from_file(str(CHECKPOINT / "tokenizer.json"))
    rows = [tokenizer.encode(text).ids[:300] for text in calibration_texts("")[5::30]]
    exact = torch.cat([reference_logits(model, ids) for ids in rows])
    found, sizes = {}, {}
    for name, (precision, options) in {
        "plain": ("int4", {}),
        "calibrated": CALIBRATED_INT4,
        "zero points": ("int4-awq", {}),
    }.items():
        graph, report = built(CHECKPOINT, tmp_path / name, precision, options)
        found[name] = float(divergence(exact, torch.cat([engine_logits(graph, ids) for ids in rows])).mean())
        sizes[name] = (tmp_path / name / "openvino_model.bin").stat().st_size
        assert ("calibrate" in report.stages) == (name != "plain")
    assert found["zero points"] < found["calibrated"] < found["plain"]
    assert sizes["plain"] < sizes["calibrated"] < (1 + INT8_SHARE) * sizes["plain"]


def test_calibrating_reports_its_stage_its_layers_and_its_tokens(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    folder, text = checkpoint("llama"), tmp_path / "mine.txt"
    text.write_text("\n".join(calibration_texts("")))
    _, report = built(folder, tmp_path / "mine", "int4", {RECIPE: CALIBRATED, CALIBRATION: str(text)})
    assert report.stages == list(OpenVINOBackend.prepare_stages)
    assert report.progresses[1][:2] == (2, 2)
    assert any("calibrating with" in line for line in report.lines)
    with pytest.raises(EngineError, match="cannot be used"):
        built(folder, tmp_path / "none", "int4", {RECIPE: CALIBRATED, CALIBRATION: "/no/such/file"})


def test_rows_have_one_length_and_are_spread_over_the_text() -> None:
    rows = calibration_rows(CHECKPOINT, "", 2048)
    assert [len(row) for row in rows] == [ROW_TOKENS] * ROWS
    assert len({tuple(row) for row in rows}) == ROWS
    assert {len(row) for row in calibration_rows(CHECKPOINT, "", 40)} == {40}


def test_a_family_that_folding_does_not_cover_is_not_folded(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one whose norms are not multiplied by their weight alone."""

    def without_norm(self: FoldedReader, norm: Any, linears: Any, scales: Any) -> None:
        self.columns |= {linear.weight: scales for linear in linears}

    folder = checkpoint("llama")
    decoder: Decoder = read_decoder(folder)
    assert calibrate(decoder, tensor_entries(folder), [tokens(50)])[0].columns
    monkeypatch.setattr(FoldedReader, "fold_norm", without_norm)
    reader, recipe = calibrate(decoder, tensor_entries(folder), [tokens(50)])
    assert not reader.columns
    assert recipe.power


@pytest.mark.parametrize("family", ["phi3", "gpt2"])
def test_the_graph_with_zero_points_computes_with_the_quantised_weights(
    family: str, checkpoint: Checkpoint, tmp_path: Path, reference: Any
) -> None:
    folder, ids = checkpoint(family, standard_deviation=0.06), tokens(200)
    graph, _ = built(folder, tmp_path / "engine", "int4-awq")
    found = divergence(reference_logits(reference(folder), ids), engine_logits(graph, ids))
    assert found.mean() < 4e-2
