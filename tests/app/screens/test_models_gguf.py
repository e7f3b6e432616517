"""Models: a GGUF file is chosen by its path, described, and prepared for the one backend that reads it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from gguf import GGMLQuantizationType as TensorType
from msgspec.structs import replace
from textual.widgets import Button, Input, Select, Static

from app.state.comparison.quality_entry import Machine, reference_choice
from app.state.prepare.gguf_choice import gguf_choice, sides_to_open
from app.state.settings.settings import DEMO, EngineChoice, Settings
from app.widgets.models.model_list import ModelList
from app.widgets.prepare.engine_picker import EnginePicker
from engines.backends.registry import BACKENDS
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.gguf_formats import DEQUANTISING_BACKEND, GGUF_BACKEND
from engines.plan.hardware.hardware import devices
from tests.app.driving import playground, toasts, wait_until
from tests.app.screens.preparing import estimate, open_prepare
from tests.app.screens.test_models import picker, text, until_chosen
from tests.engines.gguf.hostile import HOSTILE
from tests.engines.gguf.tiny_gguf import write_tiny_gguf

pytestmark = pytest.mark.skipif(GGUF_BACKEND not in BACKENDS, reason="there is no backend for GGUF files")

REFERENCE = EngineChoice(DEQUANTISING_BACKEND, "fp32")


async def test_a_gguf_file_is_chosen_by_its_path(settings: Settings, tmp_path: Path) -> None:
    file = write_tiny_gguf(tmp_path / "gguf" / "Tiny.Q8_0.gguf", matrices=TensorType.Q8_0)
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(HOSTILE["tensors overlap"][0])
    settings = replace(settings, checkpoint=DEMO, chosen=False, model_folders=(str(file.parent),))
    app = playground(replace(settings, right=REFERENCE))
    async with app.run_test(size=(160, 48)) as pilot:
        screen = await open_prepare(pilot)
        left, right = screen.query(EnginePicker)
        before = [(one.selection.backend, one.selection.precision) for one in (left, right)]
        sides = screen.query_one("#sides", Select)

        screen.query_one("#checkpoint", Input).value = str(file)
        await until_chosen(pilot, str(file))
        facts = text(pilot, "#checkpoint-facts")
        for words in (
            "llama",
            "820K parameters",
            "GGUF Q8_0",
            "8.5 bits per weight",
            "trained for 2,048 tokens",
        ):
            assert words in facts, facts
        await wait_until(pilot, lambda: "total" in estimate(pilot))
        backends = [one.query_one(".backend", Select).value for one in (left, right)]
        assert backends == [GGUF_BACKEND, DEQUANTISING_BACKEND]
        labels = [one.query_one(".kv SelectCurrent #label", Static).render() for one in (left, right)]
        assert [str(one) for one in labels] == ["KV auto: f16", "KV auto: f32"]
        assert left.selection.choice == EngineChoice(GGUF_BACKEND, "q8_0")
        assert list(left.selection.supports) == ["q8_0"]
        assert (right.selection.choice, list(right.selection.supports)) == (
            REFERENCE,
            ["fp32", "bf16", "fp16"],
        )
        assert right.selection.support.reason.startswith("The weights of the file, dequantised from Q8_0. ")
        assert sides.value == "both"
        await wait_until(pilot, lambda: "PyTorch fp32 · dequantised from Q8_0" in text(pilot, "#enter-plan"))
        plan = text(pilot, "#enter-plan")
        assert "llama.cpp q8_0" in plan
        assert "load" in plan
        assert "build" not in plan
        assert not screen.problem

        left.query_one(".backend", Select).value = "openvino"
        await wait_until(pilot, lambda: left.selection.backend == "openvino")
        assert screen.problem == (
            "Left: It is a GGUF file: llama.cpp runs it as it is, PyTorch with dequantised weights. "
            "Choose one of these, or the model's checkpoint with safetensors."
        )

        screen.query_one("#checkpoint", Input).value = str(broken)
        await until_chosen(pilot, str(broken))
        assert "overlap" in text(pilot, "#checkpoint-facts")
        assert screen.query_one("#go", Button).disabled
        await pilot.press("ctrl+b")
        await wait_until(pilot, lambda: "overlap" in toasts(app))

        screen.query_one("#checkpoint", Input).value = ""
        await wait_until(
            pilot, lambda: "Tiny.Q8_0" in [one.title for one in screen.query_one(ModelList).entries]
        )
        await picker(pilot).choose_demo()
        await wait_until(pilot, lambda: right.selection.checkpoint and not right.selection.is_gguf)
        assert [(one.selection.backend, one.selection.precision) for one in (left, right)] == before


def test_the_engine_of_a_file_and_the_sides_that_read_it(settings: Settings, tmp_path: Path) -> None:
    file = write_tiny_gguf(tmp_path / "one" / "tiny.gguf", layers=1, matrices=TensorType.Q4_0)
    own = EngineChoice(GGUF_BACKEND, "q4_0")
    assert gguf_choice(str(file)) == gguf_choice(str(file.parent)) == own
    assert gguf_choice(DEMO) is None
    settings = replace(settings, right=REFERENCE)
    chosen = replace(settings, checkpoint=str(file))
    device = devices()[0]
    small = dataclasses.replace(device, memory_available=300 << 20)
    assert sides_to_open(replace(chosen, left=own), device) == ("left", "right")
    assert sides_to_open(replace(chosen, left=own), small) == ("left",)
    assert sides_to_open(chosen, small) == sides_to_open(settings, small) == ("left", "right")
    assert reference_choice(Machine(device, None), read_checkpoint(file)) == REFERENCE
    mixture = dataclasses.replace(read_checkpoint(file), not_dequantised="Its experts are odd.")
    assert reference_choice(Machine(device, None), mixture) == own
    file.write_bytes(b"GGUF")
    assert gguf_choice(str(file)) is None
