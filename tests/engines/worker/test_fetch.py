"""Downloading without a network fails with a clear message, and ends."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path

import pytest

from engines.hub.listing import is_downloaded
from engines.worker import protocol
from engines.worker.process import EngineProcess


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove settings of this machine that turn off the hub."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)


async def fetch(tmp_path: Path, checkpoint: str) -> protocol.Event:
    """Return the last event of a download. Raises TimeoutError if it does not end."""
    process = await EngineProcess.start("pytorch", tmp_path / "log")
    try:
        async with asyncio.timeout(120):
            return await process.ask(protocol.Fetch(1, checkpoint))
    finally:
        await process.kill()


@pytest.mark.parametrize(
    "endpoint", ["https://nowhere.invalid", "http://127.0.0.1:9"], ids=["no name", "refused"]
)
async def test_no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, endpoint: str) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    error = await fetch(tmp_path, "org/name")
    assert isinstance(error, protocol.Error)
    assert error.code == "no-network"
    assert (
        error.message == "org/name is neither a folder nor in the hub cache, and the hub cannot be reached."
    )
    assert error.hint == "Check the network, or choose the demo checkpoint or a folder on this disk."


async def test_a_hub_that_never_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("HF_HOME", str(tmp_path))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        error = await fetch(tmp_path, "org/name")
    assert isinstance(error, protocol.Error)
    assert error.code == "no-network"


async def test_a_checkpoint_that_is_not_on_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_refuse, args=(server,), daemon=True).start()
        monkeypatch.setenv("HF_HOME", str(tmp_path))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        error = await fetch(tmp_path, "org/name")
    assert isinstance(error, protocol.Error)
    assert error.code == "unknown-checkpoint"
    assert error.message == "The hub has no checkpoint 'org/name'."
    assert error.hint == "Check the spelling (org/name); private checkpoints need `hf auth login`."


def _refuse(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            connection.recv(65_536)
            connection.sendall(
                b"HTTP/1.1 404 Not Found\r\nX-Error-Code: RepoNotFound\r\nContent-Length: 0\r\n"
                b"Connection: close\r\n\r\n"
            )


async def test_an_invalid_name(tmp_path: Path) -> None:
    error = await fetch(tmp_path, "a/b/c")
    assert isinstance(error, protocol.Error)
    assert error.code == "unknown-checkpoint"


def test_which_files_are_downloaded() -> None:
    files = {
        "config.json", "model-00001-of-00002.safetensors", "model.safetensors.index.json", "tokenizer.json",
        "tokenizer.model", "merges.txt", "chat_template.jinja", "README.md", "LICENSE",
        "additional_chat_templates/tool_use.jinja",
    }  # fmt: skip
    others = {
        "pytorch_model.bin", "model.pt", "weights.pkl", "modeling_own.py", "consolidated.safetensors",
        "onnx/config.json", "original/params.json", "fp16/model.safetensors", "model.gguf",
        "additional_chat_templates/old/x.jinja", "additional_chat_templates/x.json", "other/x.jinja",
    }  # fmt: skip

    assert {name for name in files | others if is_downloaded(name)} == files
