"""Tests that need a separate process: full disks, other CPUs, telemetry, imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engines.backends.openvino.backend import PRECISIONS, OpenVINOBackend
from tests.engines.backends.openvino.conftest import Build
from tests.engines.conftest import Checkpoint

ROOT = Path(__file__).parents[4]
BEGIN = """
import json, resource, sys
from pathlib import Path
from engines.backends.openvino.backend import OpenVINOBackend
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.worker.protocol import Sampling

class RecordingReport:
    lines = []
    def stage(self, name): pass
    def progress(self, done, total, unit=""): pass
    def log(self, line): self.lines.append(line)

folder, directory, precision = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
spec, notes, found = EngineSpec(str(folder), "openvino", precision), RecordingReport(), {}
backend = OpenVINOBackend()
"""
END = "\nprint(json.dumps(found))"


def run(script: str, *arguments: object, **environment: str) -> dict[str, object]:
    """Run a script and return the JSON on its last line."""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + script + END, *map(str, arguments)],
        capture_output=True, text=True, cwd=ROOT, env=os.environ | environment, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    last: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return last


@pytest.mark.parametrize("precision", ["fp32", "int4"])
@pytest.mark.parametrize("limit", [1000, 100_000, 250_000])
def test_a_full_disk_is_an_error(limit: int, precision: str, checkpoint: Checkpoint, tmp_path: Path) -> None:
    """Writes fail at a limit of the file size; OpenVINO itself may not report it."""
    found = run(
        f"""
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    backend.prepare(spec, folder, directory, notes)
except EngineError as error:
    found = {{"code": error.code, "message": error.message, "hint": error.hint}}
""",
        checkpoint(), tmp_path, precision,
    )  # fmt: skip
    assert found.get("code") == "disk-full"
    assert "disk" in str(found["message"])
    assert found["hint"]


def test_a_folder_that_cannot_be_written_is_an_error(checkpoint: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    found = run(
        """
try:
    backend.prepare(spec, folder, directory / "file", notes)
except EngineError as error:
    found = {"code": error.code, "message": error.message}
""",
        checkpoint(), tmp_path, "fp32",
    )  # fmt: skip
    assert found["code"] == "write-failed"
    assert "Not a directory" in str(found["message"])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_precision_runs_on_a_cpu_that_lacks_its_kernels(
    precision: str, checkpoint: Checkpoint, build: Build
) -> None:
    """oneDNN limited to AVX2 has no kernels for quantised activations and bfloat16."""
    folder = checkpoint()
    script = """
backend.load(spec, folder, directory, notes)
found["tokens"] = []
backend.generate([1, 2, 3], Sampling(max_tokens=8), frozenset(), found["tokens"].extend, lambda: False)
found["lines"] = notes.lines
"""
    found = run(script, folder, build(folder, precision), precision, ONEDNN_MAX_CPU_ISA="AVX2")
    assert len(found["tokens"]) == 8  # type: ignore[arg-type]
    assert all("This CPU" in line for line in found["lines"])  # type: ignore[attr-defined]


def test_openvino_sends_no_telemetry_and_writes_nothing_to_the_home_folder(
    checkpoint: Checkpoint, build: Build, tmp_path: Path
) -> None:
    """`import openvino` sends an event and keeps an id in ~/intel, unless it finds no telemetry package."""
    folder = checkpoint()
    script = """
backend.prepare(spec, folder, Path.home(), notes)
backend.load(spec, folder, directory, notes)
found["telemetry"] = [name for name, module in sys.modules.items() if "openvino_telemetry" in name and module]
found["home"] = sorted(file.name for file in Path.home().iterdir())
"""
    found = run(script, folder, build(folder), "fp32", HOME=str(tmp_path), USERPROFILE=str(tmp_path))
    assert found == {"telemetry": [], "home": ["openvino_model.bin", "openvino_model.xml"]}


def test_probe_imports_no_libraries(checkpoint: Checkpoint, tmp_path: Path) -> None:
    script = """
found["versions"] = OpenVINOBackend.probe().versions
heavy = ("openvino", "openvino_genai", "numpy", "torch", "transformers")
found["heavy"] = [name for name in heavy if name in sys.modules]
"""
    found = run(script, checkpoint(), tmp_path, "fp32")
    assert found["heavy"] == []
    assert set(found["versions"]) == {"openvino", "openvino-genai"}  # type: ignore[call-overload]


def test_a_missing_package_is_reported_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engines.backends.openvino.backend.PACKAGES", ("openvino", "no-such-package"))
    found = OpenVINOBackend.probe()
    assert not found.available
    assert "no-such-package" in found.reason
    assert "pip install" in found.hint


def test_a_quantised_build_needs_little_memory(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """About the size of the quantised model and one tensor, not of the checkpoint in fp32."""
    folder = checkpoint(
        hidden_size=1024, intermediate_size=4096, num_hidden_layers=6, vocab_size=8000, num_attention_heads=16
    )
    script = """
import openvino, openvino_genai, numpy
from engines.backends.openvino import graph, saving
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before = peak()
backend.prepare(spec, folder, directory, notes)
found["megabytes"] = peak() - before
"""
    found = run(script, folder, tmp_path, "int8")
    checkpoint_megabytes = sum(file.stat().st_size for file in folder.glob("*.safetensors")) >> 20
    found["checkpoint"] = checkpoint_megabytes
    # The memory-mapped file counts as resident memory while it is read.
    assert int(str(found["megabytes"])) < 1.6 * checkpoint_megabytes, found
