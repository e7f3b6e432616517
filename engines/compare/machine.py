"""What a comparison says of the machine on which it ran."""

from __future__ import annotations

from engines.plan.hardware.hardware import devices


def machine_facts() -> dict[str, str]:
    """Return the vendor's names of the processor, with the cores that may be used, and of each GPU."""
    cpu, *gpus = devices()
    cores = f", {cpu.cores} cores" if cpu.cores else ""
    return {"cpu": f"{cpu.title}{cores}", **{f"gpu {index}": gpu.title for index, gpu in enumerate(gpus)}}
