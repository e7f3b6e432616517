"""A real server: `transformers serve`, with the demo checkpoint.

It is skipped without what that needs: `pip install fastapi uvicorn openai accelerate`. `make test` does not
install it, because transformers imports accelerate wherever it finds it, in every PyTorch worker.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx2
import pytest

from engines.demo import CHECKPOINT
from engines.errors import EngineError
from engines.worker.protocol import Sampling
from tests.engines.backends.endpoint.asking import ask, connected

for package in ("fastapi", "uvicorn", "openai", "accelerate"):
    pytest.importorskip(package)
STARTED_SECONDS = 120.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The server's process and its address."""
    home = tmp_path_factory.mktemp("home")
    (home / "hub").mkdir()  # without one its list of models is an error
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(CHECKPOINT)]
    environment = os.environ | {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        address = f"http://127.0.0.1:{port}"
        try:
            _wait(process, address)
            yield process, address
        finally:
            process.kill()


def _wait(process: subprocess.Popen[bytes], address: str) -> None:
    end = time.monotonic() + STARTED_SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, "the server ended"
        try:
            httpx2.get(f"{address}/openapi.json", trust_env=False)
        except httpx2.TransportError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("the server has not started")


def test_answers_samples_stops_and_ends(server: tuple[subprocess.Popen[bytes], str]) -> None:
    process, address = server
    with connected(address, model=str(CHECKPOINT)) as backend:
        assert backend.facts.kind == "transformers serve"
        greedy = Sampling(max_tokens=24, ignore_eos=True)
        heard = ask(backend, sampling=greedy)
        assert heard.end.reason == "length"
        assert heard.end.server.tokens == 24
        assert ask(backend, sampling=greedy).text == heard.text

        warm = [Sampling(max_tokens=24, ignore_eos=True, temperature=1.5, seed=seed) for seed in (1, 2, 3)]
        assert len({ask(backend, sampling=one).text for one in warm}) > 1

        word = heard.text.split()[3]
        cut = ask(backend, sampling=Sampling(max_tokens=24, stop=(word,)))
        assert word not in cut.text
        assert heard.text.startswith(cut.text)

        stopped = ask(
            backend,
            sampling=Sampling(max_tokens=400, ignore_eos=True),
            stopped=lambda heard: len(heard.pieces) >= 3,
        )
        assert stopped.end.reason == "stopped"
        process.kill()
        process.wait()
        with pytest.raises(EngineError, match=r"nothing listens there|closed the connection"):
            ask(backend, sampling=greedy)
