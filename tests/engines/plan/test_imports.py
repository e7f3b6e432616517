"""engines.plan and engines.measure, which the UI imports, load no worker library and no driver."""

from __future__ import annotations

import subprocess
import sys

MODULES = (
    "engines.plan.checkpoint.checkpoint",
    "engines.plan.estimate.estimate",
    "engines.plan.hardware.hardware",
    "engines.plan.precision",
    "engines.measure.quality",
    "engines.measure.telemetry",
    "engines.measure.timing",
)
HEAVY = {"torch", "transformers", "openvino", "openvino_genai", "numpy", "safetensors", "pynvml"}


def test_no_heavy_library_is_imported() -> None:
    code = f"import sys, {', '.join(MODULES)}; print(*(name.partition('.')[0] for name in sys.modules))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert HEAVY & set(output.split()) == set()
