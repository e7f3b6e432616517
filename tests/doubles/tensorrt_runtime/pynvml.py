"""NVIDIA's management library with one GPU, for the workers of a test."""

from __future__ import annotations

import os
from typing import Any

from tests.doubles import nvml

NVMLError = nvml.NVMLError
_major, _, _minor = os.environ.get("TENSORRT_DOUBLE_GPU", "8.9").partition(".")
_library = nvml.Nvml(gpus=(nvml.Gpu(compute_capability=(int(_major), int(_minor))),))


def __getattr__(name: str) -> Any:
    return getattr(_library, name)
