"""OpenVINO GenAI: a CPU engine with a paged KV cache, built from `config.json` and safetensors."""

import sys

# `import openvino` sends an event to Google Analytics and writes to ~/intel if this package is installed.
# Without it OpenVINO uses its own stub. A None entry makes Python treat the package as missing.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
