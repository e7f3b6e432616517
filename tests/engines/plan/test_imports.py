"""What the UI imports of engines loads no worker library, no driver and no huggingface_hub."""

from __future__ import annotations

import subprocess
import sys

MODULES = (
    "engines.hub.download",
    "engines.hub.local",
    "engines.hub.preview",
    "engines.hub.search",
    "engines.hub.suggested",
    "engines.hub.unfinished",
    "engines.plan.checkpoint.checkpoint",
    "engines.plan.estimate.estimate",
    "engines.plan.hardware.hardware",
    "engines.plan.precision",
    "engines.measure.quality",
    "engines.measure.telemetry",
    "engines.measure.timing",
)
HEAVY = {
    "huggingface_hub",
    "torch",
    "transformers",
    "openvino",
    "openvino_genai",
    "onnx",
    "onnxruntime",
    "xllamacpp",
    "gguf",
    "numpy",
    "safetensors",
    "pynvml",
}


def test_no_heavy_library_is_imported() -> None:
    code = f"import sys, {', '.join(MODULES)}; print(*(name.partition('.')[0] for name in sys.modules))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert HEAVY & set(output.split()) == set()
