"""The devices that engines can run on: this machine's CPU and its NVIDIA GPUs."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engines.plan.hardware.cpu_cache import last_level_cache
from engines.plan.hardware.nvml import Nvml

CPU_FEATURES = {
    "avx2": ("avx2",),
    "avx512f": ("avx512",),
    "avx512_vnni": ("vnni",),
    "avx_vnni": ("vnni",),
    "avx512_bf16": ("avx512_bf16",),
    "amx_bf16": ("amx_bf16",),
    "amx_int8": ("amx_int8",),
    "amx_fp16": ("amx_fp16",),
    "asimd": ("neon",),
    "bf16": ("arm_bf16",),
    "i8mm": ("arm_i8mm",),
    "sve": ("sve",),
}
"""From flags in /proc/cpuinfo (x86 or ARM) to the feature names of the support rules."""
SYSCTL_FEATURES = {
    "hw.optional.avx2_0": "avx2",
    "hw.optional.avx512f": "avx512",
    "hw.optional.neon": "neon",
    "hw.optional.arm.FEAT_BF16": "arm_bf16",
    "hw.optional.arm.FEAT_I8MM": "arm_i8mm",
}
UNLIMITED = 2**60
"""cgroup v1 reports "no limit" as a number near 2^63."""
NVML_CLOCK_MEM = 2


@dataclass(frozen=True)
class Device:
    """A device and its free memory now. Figures that are not reported are None."""

    name: str
    """`cpu` or `cuda:N`, as in `EngineSpec.device`."""
    kind: Literal["cpu", "cuda"]
    title: str
    """The vendor's name of the model."""
    memory_total: int | None
    """Bytes that processes may use: the container's limit if it is lower than the machine's memory."""
    memory_available: int | None
    """Bytes free for a new process."""
    features: frozenset[str] = frozenset()
    """Instruction sets of a CPU: values of CPU_FEATURES."""
    cores: int | None = None
    """CPU cores this process may run on."""
    compute_capability: tuple[int, int] | None = None
    uuid: str = ""
    """`GPU-…`, or `MIG-…` for an instance; valid in CUDA_VISIBLE_DEVICES."""
    driver: str = ""
    bandwidth: float | None = None
    """Peak bytes per second between the device and its memory, from memory clock and bus width."""
    cache_bytes: int | None = None
    """The last-level cache of a CPU."""
    is_mig: bool = False
    """Whether this is a MIG instance."""
    limits: tuple[str, ...] = ()
    """Container or affinity limits below the machine's size, as text for the user."""


def devices() -> list[Device]:
    """Return the CPU, then the GPUs in the driver's order. Devices that cannot be queried are left out."""
    return [cpu(), *gpus()]


def cpu() -> Device:
    """Return this machine's CPU with the memory and cores that this process may use."""
    import psutil

    memory = psutil.virtual_memory()
    total, available, limits = int(memory.total), int(memory.available), []
    limit, used = container_memory(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))
    if limit is not None and limit < total:
        limits.append(f"the container may use {limit / 2**30:.1f} of {total / 2**30:.1f} GiB")
        total, available = limit, min(available, max(0, limit - used))
    cores, all_cores = usable_cores(), os.cpu_count()
    if all_cores is not None and cores < all_cores:
        limits.append(f"this process may run on {cores} of {all_cores} cores")
    title, features = _model_and_features()
    return Device(
        name="cpu",
        kind="cpu",
        title=title,
        memory_total=total,
        memory_available=available,
        features=features,
        cores=cores,
        cache_bytes=last_level_cache(),
        limits=tuple(limits),
    )


def gpus() -> list[Device]:
    """Return the NVIDIA GPUs that are visible to CUDA in this environment; in MIG mode their instances."""
    nvml = Nvml.open()
    if nvml is None:
        return []
    try:
        handles = cuda_visible(
            [(handle, nvml.text("nvmlDeviceGetUUID", handle)) for handle in nvml.devices()],
            os.environ.get("CUDA_VISIBLE_DEVICES"),
        )
        return [_gpu(nvml, handle, index) for index, handle in enumerate(handles)]
    finally:
        nvml.close()


def cuda_visible(found: list[tuple[Any, str]], setting: str | None) -> list[Any]:
    """Return the handles of `found` that are visible with CUDA_VISIBLE_DEVICES set to `setting`.

    As in CUDA: numbers or prefixes of a UUID, up to the first that matches no device.
    https://docs.nvidia.com/cuda/cuda-c-programming-guide/#cuda-environment-variables
    CUDA numbers the fastest GPU first unless CUDA_DEVICE_ORDER is PCI_BUS_ID, which workers set.

    Args:
        found: (handle, UUID) in the driver's order.
    """
    if setting is None:
        return [handle for handle, _ in found]
    chosen: list[Any] = []
    for part in (text.strip() for text in setting.split(",")):
        by_name = [handle for handle, uuid in found if part and uuid.startswith(part)]
        number = int(part) if part.isascii() and part.isdigit() else len(found)
        if number < len(found):
            chosen.append(found[number][0])
        elif len(by_name) == 1:
            chosen += by_name
        else:
            break
    return chosen


def _gpu(nvml: Nvml, handle: Any, index: int) -> Device:
    memory = nvml.ask("nvmlDeviceGetMemoryInfo", handle)
    capability = nvml.ask("nvmlDeviceGetCudaComputeCapability", handle)
    uuid = nvml.text("nvmlDeviceGetUUID", handle)
    return Device(
        name=f"cuda:{index}",
        kind="cuda",
        title=nvml.text("nvmlDeviceGetName", handle) or "NVIDIA GPU",
        memory_total=None if memory is None else int(memory.total),
        memory_available=None if memory is None else int(memory.free),
        compute_capability=None if capability is None else (int(capability[0]), int(capability[1])),
        uuid=uuid,
        driver=nvml.text("nvmlSystemGetDriverVersion"),
        bandwidth=_bandwidth(nvml, handle),
        is_mig=uuid.startswith("MIG-"),
    )


def _bandwidth(nvml: Nvml, handle: Any) -> float | None:
    """Return the peak: two transfers per clock on each bus line (H200: 3201 MHz · 6144 bit = 4.9 TB/s)."""
    clock = nvml.ask("nvmlDeviceGetMaxClockInfo", handle, NVML_CLOCK_MEM)
    width = nvml.ask("nvmlDeviceGetMemoryBusWidth", handle)
    return clock * 1e6 * 2 * width / 8 if clock and width else None


def usable_cores() -> int:
    """Return the number of cores that this process may run on, after container limits and taskset."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def container_memory(groups: Path, root: Path) -> tuple[int | None, int]:
    """Return the lowest memory limit of the control groups of this process, and its use.

    Args:
        groups: /proc/self/cgroup; lines of `number:controllers:path`.
        root: /sys/fs/cgroup; version 2 has `memory.max` there, version 1 `memory/memory.limit_in_bytes`.

    Returns:
        Bytes (limit, used); (None, 0) without a limit or outside Linux.
    """
    tightest: int | None = None
    used = 0
    for folder, limit_name, used_name in _memory_groups(groups, root):
        limit = _number_in(folder / limit_name)
        if limit is not None and limit < UNLIMITED and (tightest is None or limit < tightest):
            tightest, used = limit, _number_in(folder / used_name) or 0
    return tightest, used


def _memory_groups(groups: Path, root: Path) -> list[tuple[Path, str, str]]:
    """Return every folder from the process's group up to the root, with the names of its two files."""
    found = []
    for line in _text_of(groups).splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers == "memory":
            base, names = root / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes")
        elif controllers == "":
            base, names = root, ("memory.max", "memory.current")
        else:
            continue
        own = base / path.strip("/")
        found += [(folder, *names) for folder in (own, *own.parents) if folder.is_relative_to(base)]
    return found


def _number_in(file: Path) -> int | None:
    text = _text_of(file).strip()
    return int(text) if text.isdigit() else None


def _text_of(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""


def _model_and_features() -> tuple[str, frozenset[str]]:
    if sys.platform == "darwin":
        return _macos_model_and_features()
    return parse_cpuinfo(_text_of(Path("/proc/cpuinfo")))


def parse_cpuinfo(text: str) -> tuple[str, frozenset[str]]:
    """Return the model name and the features of CPU_FEATURES in the text of /proc/cpuinfo."""
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    words = flags.group(1).split() if flags else []
    features = frozenset(name for word in words for name in CPU_FEATURES.get(word, ()))
    return (model.group(1).strip() if model else platform.processor() or platform.machine()), features


def _macos_model_and_features() -> tuple[str, frozenset[str]]:
    try:
        command = ["/usr/sbin/sysctl", "-i", "machdep.cpu.brand_string", *SYSCTL_FEATURES]
        output = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        return platform.machine(), frozenset()
    found = dict(line.split(": ", 1) for line in output.splitlines() if ": " in line)
    features = frozenset(name for key, name in SYSCTL_FEATURES.items() if found.get(key, "0").strip() == "1")
    return found.get("machdep.cpu.brand_string", platform.machine()), features
