"""An eager worker's process does not import the compiler, and computes the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

LOAD = """
import json, sys
from pathlib import Path
from engines.backends.pytorch import PyTorchBackend
from engines.build.spec import EngineSpec
from engines.worker.protocol import Sampling
from tests.doubles.log_report import LogReport
if sys.argv[2] == "start":
    PyTorchBackend.start_process()
backend = PyTorchBackend()
spec = EngineSpec(sys.argv[1], "pytorch", "fp32")
backend.load(spec, Path(sys.argv[1]), None, LogReport())
tokens = []
sampling = Sampling(max_tokens=8, ignore_eos=True)
backend.generate([5, 6, 7], sampling, frozenset(), tokens.extend, lambda: False)
heavy = [name for name in HEAVY if name in sys.modules]
"""
HEAVY = ("torch._inductor", "torch._dynamo.convert_frame", "torch.distributed.tensor", "scipy", "torchao")
COMPILE = """
import torch
compiled = torch.compile(lambda x: x * 2 + 1, backend="eager")
print(json.dumps([tokens, heavy, compiled(torch.ones(2)).tolist(), torch._dynamo.config.disable]))
"""


def run(checkpoint: Path, kind: str) -> tuple[list[int], list[str], list[float], bool]:
    """Load and answer in another process, then compile a function there.

    Returns:
        the answer's tokens, what of HEAVY was imported before compiling, what the function returned, and
        whether the compiler is disabled.
    """
    script = f"HEAVY = {HEAVY!r}\n{LOAD}{COMPILE}"
    command = [sys.executable, "-c", script, str(checkpoint), kind]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    tokens, heavy, compiled, disabled = json.loads(done.stdout.splitlines()[-1])
    return tokens, heavy, compiled, disabled


@pytest.mark.timeout(300)
def test_the_compiler_is_not_imported_and_can_be_imported_later(tiny_llama: Path) -> None:
    tokens, heavy, compiled, disabled = run(tiny_llama, "start")
    everything = run(tiny_llama, "")
    assert heavy == []
    assert "torch.distributed.tensor" in everything[1]
    assert (tokens, compiled, disabled) == (everything[0], [3.0, 3.0], False)
    assert len(tokens) == 8
