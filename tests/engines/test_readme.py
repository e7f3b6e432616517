"""The example in engines/README.md runs as it is printed there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "engines" / "README.md"


def test_the_example_answers(tmp_path: Path) -> None:
    example = re.search(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    assert example
    command = [sys.executable, "-c", example[1]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    ready, _, answer = done.stdout.partition("\n")
    assert ready.startswith("Ready("), ready
    assert "keys and values" in answer
