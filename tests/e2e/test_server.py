"""A server on the left and an engine of this machine on the right, in a real terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.state.settings.settings import ChatOptions, EngineChoice, Server, Settings
from engines.build.server import REMOTE, SERVED
from engines.worker.protocol import Sampling
from tests.e2e.conftest import StartApp
from tests.e2e.test_first_run import gone
from tests.engines.backends.endpoint.llama_server import LlamaServer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
pytest.importorskip("xllamacpp")
pytest.importorskip("gguf")
BOTH_READY = " ready ─╯╰─+ ready ─╯"
LAYERS = 24
"""So many that 900 tokens take seconds, and the answer can be stopped."""


def test_chat_stop_killed_server_and_restart(start: StartApp, tmp_path: Path) -> None:
    """The answer is stopped, the server dies in the middle of another one and returns; nothing is left."""
    from tests.engines.gguf.tiny_gguf import write_tiny_gguf

    server = LlamaServer(write_tiny_gguf(tmp_path / "gguf" / "tiny-F32.gguf", layers=LAYERS))
    long = ChatOptions(sampling=Sampling(max_tokens=900, ignore_eos=True))
    settings = Settings(
        chosen=True,
        welcomed=True,
        left=EngineChoice(REMOTE, SERVED, server=Server(server.address)),
        right=EngineChoice("pytorch", "fp32"),
        left_chat=long,
        right_chat=ChatOptions(sampling=Sampling(max_tokens=16)),
    )
    try:
        terminal = start(width=160, height=48, settings=settings)
        terminal.wait_for(BOTH_READY)
        assert "llama.cpp F32" in terminal.screen()
        terminal.type("What is a KV cache?")
        terminal.keys("Enter")
        terminal.wait_for(r"decode \d")
        terminal.keys("Escape")
        terminal.wait_for("cancelled")
        terminal.wait_for(BOTH_READY)
        terminal.type("Again please")
        terminal.keys("Enter")
        terminal.wait_for(r"Again please.*decode \d")
        server.kill()
        terminal.wait_for("closed the connection")
        server.start()
        terminal.wait_for(BOTH_READY)
        terminal.type("Once more")
        terminal.keys("Enter")
        terminal.wait_for(r"Once more.*decode \d")
        terminal.keys("Escape")
        terminal.wait_for(r"Once more.*cancelled")

        processes = terminal.processes()
        terminal.keys("C-q")
        terminal.wait_for_exit()
        assert terminal.exit_status == 0
        assert gone([one for one in processes if one.pid != terminal.pid])
        terminal.start_again()
        terminal.wait_for(BOTH_READY)
        terminal.keys("C-q")
        terminal.wait_for_exit()
    finally:
        server.kill()
