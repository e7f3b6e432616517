"""The CPU with container limits, and GPUs from the NVML double."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from engines.plan.hardware.hardware import container_memory, cpu, cuda_visible, devices, gpus, parse_cpuinfo
from tests.doubles.nvml import Gpu, Memory, Nvml

GIB = 2**30


def use_nvml(monkeypatch: pytest.MonkeyPatch, library: Nvml) -> Nvml:
    monkeypatch.setitem(sys.modules, "pynvml", library)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return library


def test_this_machine_has_a_cpu_with_title_cores_and_memory() -> None:
    found = cpu()
    assert (found.name, found.kind) == ("cpu", "cpu")
    assert found.title
    assert found.cores
    assert 0 < found.cores <= (os.cpu_count() or 1)
    assert found.memory_total
    assert 0 < (found.memory_available or 0) <= found.memory_total


def test_cores_follow_the_cpu_affinity() -> None:
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system has no CPU affinity")
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cpu().cores == 1
        assert len(before) == 1 or any("cores" in limit for limit in cpu().limits)
    finally:
        os.sched_setaffinity(0, before)


def test_x86_flags_become_feature_names() -> None:
    text = "model name\t: Some CPU\nflags\t\t: fpu avx2 avx512f avx512_vnni avx512_bf16 amx_bf16 amx_int8\n"
    title, features = parse_cpuinfo(text * 4)
    assert title == "Some CPU"
    assert features == {"avx2", "avx512", "vnni", "avx512_bf16", "amx_bf16", "amx_int8"}


def test_arm_has_features_and_no_model_name() -> None:
    title, features = parse_cpuinfo("processor\t: 0\nFeatures\t: fp asimd i8mm bf16 sve\n")
    assert title
    assert features == {"neon", "arm_i8mm", "arm_bf16", "sve"}


def test_an_empty_cpuinfo_is_not_an_error() -> None:
    assert parse_cpuinfo("")[1] == frozenset()


# --- container limits ---------------------------------------------------------------------------------


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_version_2_limits_are_found_in_the_group_and_above_it(tmp_path: Path) -> None:
    write(tmp_path / "groups", "0::/a/b\n")
    write(tmp_path / "root/a/b/memory.max", "max\n")
    write(tmp_path / "root/a/memory.max", f"{4 * GIB}\n")
    write(tmp_path / "root/a/memory.current", f"{GIB}\n")
    assert container_memory(tmp_path / "groups", tmp_path / "root") == (4 * GIB, GIB)


def test_version_1_limits_are_found_and_its_no_limit_value_is_none(tmp_path: Path) -> None:
    write(tmp_path / "groups", "4:memory:/a\n0::/\n")
    write(tmp_path / "root/memory/memory.limit_in_bytes", "9223372036854771712\n")
    assert container_memory(tmp_path / "groups", tmp_path / "root") == (None, 0)
    write(tmp_path / "root/memory/a/memory.limit_in_bytes", f"{2 * GIB}")
    write(tmp_path / "root/memory/a/memory.usage_in_bytes", f"{GIB}")
    assert container_memory(tmp_path / "groups", tmp_path / "root") == (2 * GIB, GIB)


def test_a_group_named_from_outside_the_container_still_finds_its_root(tmp_path: Path) -> None:
    write(tmp_path / "groups", "0::/../../docker/xyz\n")
    write(tmp_path / "root/memory.max", f"{GIB}")
    assert container_memory(tmp_path / "groups", tmp_path / "root") == (GIB, 0)


@pytest.mark.parametrize("text", ["", "\n", "nonsense", ":::", "0::"])
def test_malformed_group_files_are_not_an_error(tmp_path: Path, text: str) -> None:
    write(tmp_path / "groups", text)
    assert container_memory(tmp_path / "groups", tmp_path / "root") == (None, 0)


# --- GPUs -----------------------------------------------------------------------------------------------


def test_a_machine_without_a_driver_has_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    use_nvml(monkeypatch, Nvml(missing=True))
    assert gpus() == []
    assert [device.name for device in devices()] == ["cpu"]


def test_a_machine_without_the_package_has_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert gpus() == []


def test_gpus_are_described_and_the_library_is_shut_down(monkeypatch: pytest.MonkeyPatch) -> None:
    library = use_nvml(
        monkeypatch, Nvml((Gpu(uuid="GPU-a"), Gpu("NVIDIA L4", "GPU-b", compute_capability=(8, 9))))
    )
    first, second = gpus()
    assert (first.name, first.title, first.uuid) == ("cuda:0", "NVIDIA H200", "GPU-a")
    assert first.compute_capability == (9, 0)
    assert (first.memory_total, first.memory_available) == (150_000_000_000, 149_000_000_000)
    assert first.driver == "580.95.05"
    assert first.bandwidth == pytest.approx(4.92e12, rel=0.01)
    assert (second.name, second.title) == ("cuda:1", "NVIDIA L4")
    assert library.references == 0


def test_figures_that_a_gpu_does_not_report_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    use_nvml(monkeypatch, Nvml((Gpu(memory=None, compute_capability=None, memory_mhz=None),)))
    (found,) = gpus()
    assert found.memory_total is None
    assert found.memory_available is None
    assert found.compute_capability is None
    assert found.bandwidth is None


def test_a_gpu_in_mig_mode_is_replaced_by_its_instances(monkeypatch: pytest.MonkeyPatch) -> None:
    slice_ = Gpu("NVIDIA H200 MIG 1g.18gb", "MIG-a", Memory(18 * GIB, 17 * GIB, GIB), utilisation=None)
    split = Gpu(uuid="GPU-a", instances=(slice_, None, None), mig_enabled=True)
    whole = Gpu(uuid="GPU-b", instances=(None,), mig_enabled=False)
    use_nvml(monkeypatch, Nvml((split, whole)))
    first, second = gpus()
    assert (first.name, first.uuid, first.is_mig, first.memory_total) == ("cuda:0", "MIG-a", True, 18 * GIB)
    assert (second.name, second.uuid, second.is_mig) == ("cuda:1", "GPU-b", False)


def test_a_lost_gpu_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    use_nvml(monkeypatch, Nvml((Gpu(is_lost=True), Gpu(uuid="GPU-b"))))
    assert [device.uuid for device in gpus()] == ["GPU-b"]


@pytest.mark.parametrize(
    ("setting", "seen"),
    [
        (None, ["a", "b", "c"]),
        ("", []),
        ("2,0", ["c", "a"]),
        ("1", ["b"]),
        ("GPU-2", ["b"]),
        ("GPU-", []),
        ("0,7,1", ["a"]),
        ("-1", []),
        ("0, 1", ["a", "b"]),
    ],
)
def test_cuda_visible_devices_is_parsed_as_in_cuda(setting: str | None, seen: list[str]) -> None:
    assert cuda_visible([("a", "GPU-11"), ("b", "GPU-22"), ("c", "GPU-13")], setting) == seen


def test_gpus_that_are_hidden_from_cuda_are_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    use_nvml(monkeypatch, Nvml((Gpu(uuid="GPU-a"), Gpu(uuid="GPU-b"))))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert [(device.name, device.uuid) for device in gpus()] == [("cuda:0", "GPU-b")]
