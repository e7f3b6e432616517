"""The rows of the Quality screen: what runs here, what is measured, outdated, failed or unavailable."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from gguf import GGMLQuantizationType as TensorType
from msgspec import structs

from app.state.comparison.candidates import candidates
from app.state.comparison.quality_entry import (
    EntryState,
    Machine,
    QualityEntry,
    quality_entries,
    reference_choice,
    wanted,
)
from app.state.comparison.study import read_study
from app.state.comparison.text_set import TextSet, conversation_set, shipped
from app.state.conversation.conversation import Conversation
from app.state.settings.settings import EngineChoice, Settings
from engines.build.store import EngineStore
from engines.compare.comparison import Row
from engines.compare.latest import Latest, LatestFile, merged
from engines.compare.rows import title
from engines.compare.text import Text
from engines.demo import CHECKPOINT
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.hardware.hardware import Device
from tests.app.still import DEVICE
from tests.engines.compare.sample import COMPARISON
from tests.engines.gguf.tiny_gguf import write_tiny_gguf

MACHINE = Machine(DEVICE, None)
DEMO = read_checkpoint(CHECKPOINT)
SETTINGS = Settings()
TEXTS = TextSet("shipped", "texts", (Text("prose", "Some words."),))


def by_title(latest: Latest | None, texts: str = "t") -> dict[str, QualityEntry]:
    return {entry.title: entry for entry in quality_entries(SETTINGS, MACHINE, DEMO, latest, texts)}


def test_every_precision_that_runs_has_a_row_and_the_reference_is_the_first() -> None:
    entries = quality_entries(SETTINGS, MACHINE, DEMO, None, "t")
    assert entries[0].title == "PyTorch fp32"
    assert entries[0].is_reference
    found = {entry.title: entry for entry in entries}
    assert {"OpenVINO int4", "OpenVINO int8", "OpenVINO bf16", "PyTorch bf16"} <= set(found)
    assert found["OpenVINO int4"].expected_bytes < found["OpenVINO int8"].expected_bytes
    assert found["OpenVINO int4"].choice == EngineChoice("openvino", "int4")
    assert {entry.state for entry in entries if entry.spec} == {EntryState.MISSING}


def test_a_precision_that_nothing_runs_is_at_the_end_with_the_reason() -> None:
    entries = quality_entries(SETTINGS, MACHINE, DEMO, None, "t")
    states = [entry.state is EntryState.UNAVAILABLE for entry in entries]
    assert states == sorted(states)
    nvfp4 = entries[-1]
    assert (nvfp4.title, nvfp4.choice, nvfp4.is_wanted) == ("NVFP4", None, False)
    assert nvfp4.why


def test_measured_failed_and_missing_engines() -> None:
    failed = Row("OpenVINO bf16", "openvino", "bf16", "auto", "", error="It broke.")
    comparison = replace(COMPARISON, rows=(*COMPARISON.rows[:1], failed))
    found = by_title(merged(None, comparison, "t"))
    assert found["OpenVINO int8"].state is EntryState.MEASURED
    assert (found["OpenVINO bf16"].state, found["OpenVINO bf16"].why) == (EntryState.FAILED, "It broke.")
    assert found["OpenVINO int4"].state is EntryState.MISSING
    titles = [spec.precision for spec in wanted(list(found.values())) if spec.backend == "openvino"]
    assert titles == ["fp32", "bf16", "int4", "int4-awq"]


def test_other_texts_or_another_version_make_a_row_outdated() -> None:
    latest = merged(None, COMPARISON, "t")
    assert by_title(latest, "other")["OpenVINO int8"].why == "the texts changed"
    int8 = replace(COMPARISON.rows[0], backend="openvino", inputs={"version of msgspec": "0.0.1"})
    found = by_title(merged(None, replace(COMPARISON, rows=(int8,)), "t"))
    assert found["OpenVINO int8"].state is EntryState.OUTDATED
    assert found["OpenVINO int8"].why.startswith("msgspec changed from 0.0.1 to ")
    assert found["OpenVINO int8"].is_wanted


def test_an_outdated_reference_makes_all_rows_outdated() -> None:
    reference = replace(COMPARISON.reference, backend="pytorch", inputs={"version of msgspec": "0.0.1"})
    found = by_title(merged(None, replace(COMPARISON, reference=reference), "t"))
    assert found["PyTorch fp32"].state is EntryState.OUTDATED
    assert found["OpenVINO int8"].why.startswith("the reference: msgspec changed from 0.0.1 to ")


def test_a_row_of_another_reference_says_so() -> None:
    old = merged(None, replace(COMPARISON, rows=COMPARISON.rows[:1]), "t")
    newer = replace(COMPARISON.reference, digest="f" * 20)
    latest = merged(old, replace(COMPARISON, reference=newer, rows=COMPARISON.rows[1:2]), "t")
    found = by_title(latest)
    assert found["OpenVINO int4"].state is EntryState.MEASURED
    assert "the reference changed" in found["OpenVINO int8"].why


def test_the_reference_is_the_checkpoints_own_precision_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Device("cuda:0", "cuda", "A GPU", 80 << 30, 70 << 30, compute_capability=(9, 0))
    assert reference_choice(MACHINE, DEMO) == EngineChoice("pytorch", "fp32")
    monkeypatch.setattr("app.state.comparison.quality_entry.device_of", lambda *_: gpu)
    assert reference_choice(Machine(DEVICE, gpu), DEMO) == EngineChoice("pytorch", DEMO.dtype)
    assert reference_choice(Machine(DEVICE, gpu), None) == EngineChoice("pytorch", "fp32")


async def test_a_study_has_only_rows_that_can_be_compared(tmp_path: Path) -> None:
    empty = read_study(SETTINGS, MACHINE, TEXTS, tmp_path)
    assert (empty.comparison, empty.reference_title, empty.checkpoint) == (None, "PyTorch fp32", "demo")
    await LatestFile.of(tmp_path, empty.reference, TEXTS.name, TEXTS.texts).keep(COMPARISON)
    study = read_study(SETTINGS, MACHINE, TEXTS, tmp_path)
    assert study.comparison
    assert [row.title for row in study.comparison.rows] == ["OpenVINO int8", "OpenVINO int4"]
    other = replace(TEXTS, texts=(Text("prose", "Other words."),))
    assert read_study(SETTINGS, MACHINE, other, tmp_path).comparison is None


def test_a_checkpoint_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    study = read_study(Settings(checkpoint="/no/such/folder"), MACHINE, TEXTS, tmp_path)
    assert "There is no folder" in study.problem


def test_sets_of_texts() -> None:
    conversation = Conversation("Be brief.")
    assert conversation_set(conversation) is None
    conversation.begin("Hi", "engine").answer = "Hello!"
    conversation.begin("And?", "engine")
    found = conversation_set(conversation)
    assert found
    assert [message["role"] for message in found.texts[0].messages] == ["system", "user", "assistant"]
    assert [text.name for text in shipped().texts] == ["prose", "code", "chat"]


def test_a_gguf_file_is_compared_with_its_dequantised_form(tmp_path: Path) -> None:
    file = write_tiny_gguf(tmp_path / "tiny.gguf", matrices=TensorType.Q4_0)
    settings = Settings(checkpoint=str(file))
    study = read_study(settings, MACHINE, TEXTS, tmp_path)
    assert study.reference_title == "PyTorch fp32 · dequantised from Q4_0"
    assert [one.title for one in study.entries] == [
        "PyTorch fp32 · dequantised from Q4_0",
        "PyTorch bf16 · dequantised from Q4_0",
        "llama.cpp q4_0",
    ]
    spec = study.entries[2].spec
    assert spec
    added = candidates(EngineStore(tmp_path / "store"), study.reference, [spec])
    assert [title(one) for one in added] == ["PyTorch bf16 · dequantised from Q4_0"]
    added = candidates(EngineStore(tmp_path / "store"), spec, [])
    assert [title(one) for one in added] == [one.title for one in study.entries[:2]]


def test_a_sides_own_gguf_file_has_a_row(tmp_path: Path) -> None:
    file = write_tiny_gguf(tmp_path / "Tiny.Q8_0.gguf", matrices=TensorType.Q8_0)
    own = EngineChoice("llama-cpp", "q8_0", checkpoint=str(file))
    settings = structs.replace(SETTINGS, left=own)
    entries = quality_entries(settings, MACHINE, DEMO, None, "t")
    [entry] = [one for one in entries if one.choice == own]
    assert (entry.title, entry.state) == ("llama.cpp q8_0, Tiny.Q8_0.gguf", EntryState.MISSING)
    assert entry.spec
    assert entry.spec.checkpoint == str(file)
    row = Row(entry.title, "llama-cpp", "q8_0", "auto", "")
    measured = merged(None, replace(COMPARISON, rows=(row,)), "t")
    [entry] = [one for one in quality_entries(settings, MACHINE, DEMO, measured, "t") if one.choice == own]
    assert entry.row == row
    file.unlink()
    assert own not in {one.choice for one in quality_entries(settings, MACHINE, DEMO, None, "t")}
