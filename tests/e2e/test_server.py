"""A server on the left and an engine of this machine on the right, in a real terminal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.state.settings.settings import ChatOptions, EngineChoice, Server, Settings
from engines.build.server import REMOTE, SERVED
from engines.worker.protocol import Sampling
from tests.e2e.conftest import StartApp
from tests.e2e.terminal import Terminal
from tests.e2e.test_first_run import gone
from tests.engines.backends.endpoint.llama_server import LlamaServer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
pytest.importorskip("xllamacpp")
pytest.importorskip("gguf")
BOTH_READY = " ready ─╯╰─+ ready ─╯"
LAYERS = 24
"""So many that 900 tokens take seconds, and the answer can be stopped."""


def test_chat_stop_killed_server_and_restart(start: StartApp, tmp_path: Path) -> None:
    """Answers and users of a load test are stopped, the server dies in the middle of an answer and returns.

    Nothing is left.
    """
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
        two_users_are_stopped(terminal)
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


def two_users_are_stopped(terminal: Terminal) -> None:
    """Open the load test, let two users ask the server, stop them, and return to the chat."""
    terminal.keys("M-l")
    terminal.wait_for("4 users, 3 prompts each")
    terminal.keys("-")
    terminal.wait_for("2 users, 3 prompts each")
    terminal.keys("Enter")
    terminal.wait_for(r"is asked by 2 users.*total \d.*TTFT \d.*user 1 +answering +\d+ tokens +TTFT +\d")
    terminal.keys("Escape")
    shown = terminal.wait_for("Stopped: 2 users of llama.cpp F32")
    for figure in (r"total \d", r"TTFT \d", "user 1 +stopped", "user 2 +stopped"):
        assert re.search(figure, shown), figure
    terminal.keys("Escape")
