"""Which GPU a side's engine runs on, where there are several."""

from __future__ import annotations

from dataclasses import replace

from app.state.prepare.engine_selection import EngineSelection
from app.state.prepare.engine_spec import choices_of
from app.state.prepare.side_gpu import gpu_of, on_own_gpus, with_gpus
from app.state.settings.settings import EngineChoice, Settings, swapped
from engines.build.spec import GPUS, EngineSpec, fingerprint_inputs
from engines.plan.hardware.hardware import Device

CPU = Device("cpu", "cpu", "A processor", 1 << 34, 1 << 34)
FOUR = tuple(
    Device(f"cuda:{index}", "cuda", "NVIDIA H200", 1 << 37, 1 << 36, compute_capability=(9, 0))
    for index in range(4)
)
TWO = FOUR[:2]
SPEC = EngineSpec("model", "tensorrt-llm", "fp8", "cuda:0")
RIGHT = replace(SPEC, device="cuda:1")


def names(side: str, wanted: str, gpus: tuple[Device, ...], count: int = 1) -> str:
    """Return the name of the GPU."""
    found = gpu_of(side, wanted, gpus, count)
    return found.name if found else ""


def test_each_side_has_its_own_gpu_unless_another_is_wanted() -> None:
    assert [names(side, "", ()) for side in ("left", "right")] == ["", ""]
    assert [names(side, "", TWO[:1]) for side in ("left", "right")] == ["cuda:0", "cuda:0"]
    assert [names(side, "", TWO) for side in ("left", "right")] == ["cuda:0", "cuda:1"]
    assert [names(side, "", FOUR, 2) for side in ("left", "right")] == ["cuda:0", "cuda:2"]
    assert [names(side, "cuda:1", TWO) for side in ("left", "right")] == ["cuda:1", "cuda:1"]
    assert names("right", "cuda:7", TWO) == "cuda:1", "settings of another machine"
    assert names("right", "", TWO, 2) == "cuda:0", "both are needed"
    lesser = replace(TWO[1], title="GeForce GT 710")
    assert names("right", "", (TWO[0], lesser)) == "cuda:0", "the speeds could not be compared"
    assert names("right", "cuda:1", (TWO[0], lesser)) == "cuda:1"


def test_a_selection_names_only_a_gpu_that_was_chosen() -> None:
    right = EngineSelection(EngineChoice("tensorrt-llm", "fp8"), CPU, TWO, "right")
    assert right.devices == TWO[1:]
    assert right.offered_gpus == TWO
    assert right.choice.device == ""
    right.wanted_device = "cuda:0"
    assert (right.devices, right.choice.device) == (TWO[:1], "cuda:0")
    right.backend, right.precision = "openvino", "int8"
    assert (right.devices, right.offered_gpus, right.choice.device) == ((CPU,), (), "")
    assert EngineSelection(EngineChoice("tensorrt-llm", "fp8"), CPU, TWO[:1], "right").offered_gpus == ()


def test_whether_engines_answering_together_disturb_each_other() -> None:
    assert on_own_gpus(SPEC, RIGHT)
    assert not on_own_gpus(SPEC, SPEC)
    assert not on_own_gpus(SPEC, None)
    assert not on_own_gpus(replace(SPEC, device="cpu"), RIGHT), "its kernels are launched by the processor"
    assert not on_own_gpus(replace(SPEC, options={GPUS: "2"}), RIGHT), "the second half of the left one"


def test_engines_stay_on_their_gpus_when_the_sides_are_swapped() -> None:
    settings = Settings(left=EngineChoice("compiled", "int8"), right=EngineChoice("pytorch", "bf16"))
    after = swapped(with_gpus(settings, TWO))
    assert after["left"] == EngineChoice("pytorch", "bf16", device="cuda:1")
    assert after["right"] == EngineChoice("compiled", "int8", device="cuda:0")
    assert swapped(with_gpus(settings, TWO[:1])) == swapped(settings)
    kept = choices_of({"left": SPEC, "right": RIGHT})
    assert (kept["left"], kept["right"]) == (
        EngineChoice("tensorrt-llm", "fp8"),
        EngineChoice("tensorrt-llm", "fp8", device="cuda:1"),
    )


def test_an_engine_is_the_same_on_every_gpu_of_one_model() -> None:
    both = [fingerprint_inputs(spec, {}, {"GPU": "NVIDIA H200 (9, 0)"}) for spec in (SPEC, RIGHT)]
    assert both[0] == both[1]
