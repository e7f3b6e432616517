"""The GPUs that an engine can be built for.

TensorRT for RTX compiles for named compute capabilities, and needs no GPU for it. TensorRT itself measures
kernels, and builds for the GPU of this machine only.
"""

from __future__ import annotations

from engines.backends.tensorrt.library import RTX
from engines.errors import EngineError
from engines.plan.hardware.targets import capability_of

RTX_TARGETS = ("sm75", "sm80", "sm86", "sm89", "sm120", "sm121")
FP8 = (8, 9)


def check_target(module: str, target: str, precision: str, here: str) -> None:
    """Refuse what the library would refuse while it builds, or would build and no GPU run.

    Args:
        module: RTX or FULL.
        here: the target of this machine's GPU; empty without one.

    Raises:
        EngineError: `unsupported-target` or `unsupported-precision`.
    """
    if module == RTX and target not in RTX_TARGETS:
        raise EngineError(
            "unsupported-target",
            f"TensorRT for RTX does not build for {target}: it runs on GeForce and RTX GPUs, not on those of "
            "data centres such as Hopper.",
            f"Choose PyTorch compiled or TensorRT-LLM on this GPU, or build for another one with --for: "
            f"{', '.join(RTX_TARGETS)}.",
        )
    if module != RTX and target != here:
        raise EngineError(
            "unsupported-target",
            f"TensorRT builds for the GPU of this machine only{f', which is {here}' if here else ''}.",
            "Install tensorrt-rtx to build for other GPUs: pip install tensorrt-rtx.",
        )
    if precision == "fp8" and capability_of(target) < FP8:
        raise EngineError(
            "unsupported-precision",
            f"FP8 needs compute capability 8.9 (Ada), and {target} is older.",
            "Choose INT8.",
        )
