"""OpenVINO GenAI: a paged, quantised engine for CPUs, built from `config.json` and safetensors alone."""

import sys

# `import openvino` itself reports to Google Analytics and writes to ~/intel, unless this package is missing;
# its own fallback, a stub, then takes over. A None entry is how Python spells "missing".
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
