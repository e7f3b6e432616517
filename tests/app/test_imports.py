"""The UI process never imports the libraries of the workers, not even while chatting."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

CHAT = """
import asyncio, json, sys
from app.playground import Playground
from engines.worker.protocol import Sampling
from app.state.settings.settings import EngineChoice, Settings
from tests.app.driving import ask, sampled, until_ready
from tests.app.screens.preparing import open_prepare

async def main(checkpoint):
    settings = Settings(
        checkpoint=checkpoint, context=256, chosen=True, left=EngineChoice("openvino", "int8"),
        right=EngineChoice("pytorch", "fp32"),
    )
    app = Playground(sampled(settings, Sampling(max_tokens=8)))
    async with app.run_test(size=(160, 48)) as pilot:
        before = set(sys.modules)
        await until_ready(pilot)
        await ask(pilot, "Hello")
        await pilot.press("f2")
        await open_prepare(pilot)
        after = set(sys.modules)
        print(json.dumps([sorted(before), sorted(after)]))

asyncio.run(main(sys.argv[1]))
"""
WORKER_ONLY = {
    "engines.backends.endpoint",
    "torch",
    "transformers",
    "openvino",
    "openvino_genai",
    "onnx",
    "onnxruntime",
    "xllamacpp",
    "gguf",
    "tensorrt",
    "tensorrt_rtx",
    "tensorrt_llm",
    "tokenizers",
}


def run(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=100).stdout


def test_the_ui_process_imports_no_engine(tiny: Path) -> None:
    """`sys.modules` has no worker library, neither before nor after a chat with both engines."""
    before, after = json.loads(run(CHAT, str(tiny)).splitlines()[-1])
    assert not WORKER_ONLY & set(before)
    assert not WORKER_ONLY & set(after)


def test_version_imports_no_terminal() -> None:
    """Scripts call `--version`, so it must be fast: it loads neither Textual nor Rich."""
    code = (
        "import sys; sys.argv=['x','--version']; from app.cli.main import main as m; m(); print(*sys.modules)"
    )
    modules = set(run(code).splitlines()[-1].split())
    assert not {"textual", "rich", "numpy", *WORKER_ONLY} & modules
