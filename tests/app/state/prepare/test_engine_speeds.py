"""The fastest engine of the CPU is known once all were measured, and is the default without settings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from app.cli.arguments import saved_settings
from app.state.prepare.decode_measurement import measure_engine
from app.state.prepare.engine_speeds import (
    fastest,
    fastest_text,
    read_speeds,
    speed_name,
    speeds_file,
)
from app.state.settings.number_file import add_number
from app.state.settings.paths import engine_store, settings_file
from app.state.settings.settings import EngineChoice, Settings, save_settings
from engines.build.store import EngineStore
from engines.plan.hardware.hardware import cpu

OPENVINO = EngineChoice("openvino", "int8")


async def test_an_engine_is_measured_and_the_fastest_is_named_when_all_are(own_folders: Path) -> None:
    here, store = cpu(), EngineStore(engine_store())
    speeds = read_speeds(here)
    assert {(one.backend, one.precision) for one in speeds} >= {("openvino", "int8")}
    assert fastest(speeds) is None
    assert saved_settings() == Settings()

    [openvino] = [one for one in speeds if one.backend == "openvino"]
    rate = await measure_engine(here, openvino, store, lambda _: None)
    assert read_speeds(here)[0] == replace(openvino, rate=rate)
    for one in speeds:
        if one is not openvino:
            assert fastest(read_speeds(here)) is None
            add_number(speeds_file(), speed_name(here, one.backend, one.precision), rate / 2)
    assert fastest_text(OPENVINO, read_speeds(here)).startswith("this one, ")
    assert fastest_text(EngineChoice("pytorch", "fp32"), read_speeds(here)).startswith("OpenVINO int8, ")
    assert not any(one.rate for one in read_speeds(replace(here, cores=99))), "another machine"


def test_an_app_without_settings_starts_with_the_fastest(own_folders: Path) -> None:
    for one in read_speeds(cpu()):
        rate = 90.0 if one.backend == "llama-cpp" else 30.0
        add_number(speeds_file(), speed_name(cpu(), one.backend, one.precision), rate)
    assert saved_settings().left == EngineChoice("llama-cpp", "q8_0")
    settings_file().parent.mkdir(parents=True, exist_ok=True)
    save_settings(settings_file(), Settings())
    assert saved_settings().left == OPENVINO
