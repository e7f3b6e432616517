"""Workers forked from a process that has imported PyTorch, transformers and OpenVINO already.

The imports are six seconds of processor time for each worker, a fork is 0.05 s. What runs in the fork is the
real worker, in a session of its own, with pipes, log and environment as `EngineProcess.start` gives them.

    python -m tests.doubles.fork_server DESCRIPTOR

serves the socket DESCRIPTOR: each message is a JSON object with `backend`, `environment` and `folder`, and
carries the worker's stdin, stdout, stderr and the descriptor to which its exit code is written.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from importlib import import_module, reload
from pathlib import Path
from typing import Any, cast

import psutil

from engines.environments.interpreters import interpreter
from engines.environments.start import start_worker
from engines.worker.launch import WorkerLog, environment
from engines.worker.parent_death import die_with_parent
from engines.worker.process import LINE_LIMIT, SILENCE_SECONDS, EngineProcess
from tests.engines.double_environment import is_double, packages_of
from tests.runner.mark import MARK, shared_mark

PROJECT = Path(__file__).resolve().parents[2]
REQUEST_BYTES = 200_000
FORK_SECONDS = 240.0
"""The first worker waits for the imports, on a machine that is slow and busy."""
WARM = (
    "torch",
    "transformers.generation.utils",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.llama.modeling_llama",
    "jinja2",
    "openvino_genai",
    "engines.backends.pytorch",
    "engines.backends.openvino.backend",
    "engines.backends.openvino.graph",
    "engines.backends.openvino.pipeline",
    "engines.worker.__main__",
)


BACKENDS_HERE = ("pytorch", "openvino")


class ForkedProcess:
    """What `EngineProcess` uses of an `asyncio.subprocess.Process`, for a process that is not our child."""

    def __init__(self, pid: int, exit_code: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdin: asyncio.StreamWriter
        self.stdout: asyncio.StreamReader
        self._exit_code = exit_code
        self._ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(exit_code, self._end)

    async def connect(self, commands: socket.socket, events: socket.socket) -> None:
        """Make the streams of the worker's stdin and stdout."""
        _, self.stdin = await asyncio.open_connection(sock=commands)
        self.stdout, self._unused = await asyncio.open_connection(sock=events, limit=LINE_LIMIT)

    async def wait(self) -> int:
        """Wait for the process's end; returns its exit code."""
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._exit_code)
        # Empty if the fork server itself was killed: its workers are killed with it.
        self.returncode = int(self._exit_code.recv(16) or -signal.SIGKILL)
        self._exit_code.close()
        self._ended.set()


class ForkServer:
    """A server process that is started for the tests of one runner, and ends with it."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(FORK_SECONDS)
        self._asking = threading.Lock()
        self._marks: dict[int, str] = {}
        command = [sys.executable, "-m", "tests.doubles.fork_server", str(theirs.fileno())]
        self._process = subprocess.Popen(
            command,
            cwd=PROJECT,
            env=environment(sys.executable) | {"PYTHONPATH": str(PROJECT), MARK: shared_mark()},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # what the libraries complain of while they are imported
        )
        theirs.close()

    async def start(self, backend: str, log_path: Path, python: str = sys.executable) -> EngineProcess:
        """As `EngineProcess.start`, by a fork.

        Args:
            python: the interpreter of a `double_environment`, which has our libraries and the double's.
        """
        ours, theirs = zip(*(socket.socketpair() for _ in range(3)), strict=True)
        request = {
            "backend": backend,
            "python": python,
            "environment": environment(python),
            "folder": str(Path.cwd()),
        }
        log = WorkerLog(log_path)
        with log.opened(f"{backend} worker") as sink, contextlib.ExitStack() as stack:
            for end in theirs:
                stack.enter_context(end)
            commands, events, exit_code = theirs
            descriptors = [commands.fileno(), events.fileno(), sink, exit_code.fileno()]
            pid = await asyncio.to_thread(self._fork, json.dumps(request).encode(), descriptors)
        self._marks[pid] = os.environ.get(MARK, "")
        process = ForkedProcess(pid, ours[2])
        await process.connect(ours[0], ours[1])
        return EngineProcess(cast(asyncio.subprocess.Process, process), log, SILENCE_SECONDS)

    @property
    def alive(self) -> bool:
        """Whether it can fork."""
        return self._process.poll() is None

    def workers(self, mark: str) -> list[psutil.Process]:
        """The workers that run of those that were started under `mark`, the environment's variable MARK."""
        with contextlib.suppress(psutil.NoSuchProcess):
            found = psutil.Process(self._process.pid).children()
            return [worker for worker in found if self._marks.get(worker.pid) == mark]
        return []

    def close(self) -> None:
        """End the server, and with it every worker."""
        self._socket.close()
        self._process.kill()
        self._process.wait()

    def _fork(self, request: bytes, descriptors: list[int]) -> int:
        with self._asking:  # both sides of the app start at the same time: each gets its own answer
            socket.send_fds(self._socket, [request], descriptors)
            pid = self._socket.recv(16)
        if not pid:
            raise RuntimeError(f"the fork server has ended: {self._process.wait()}")
        return int(pid)


_running: list[ForkServer] = []


def running() -> ForkServer | None:
    """The server of this runner, if a test has used it."""
    return _running[0] if _running else None


async def start_forked(backend: str, log_path: Path) -> EngineProcess:
    """Start a worker as the app does, by a fork where its libraries are imported here."""
    other = interpreter(backend)
    python = other.python if other else sys.executable
    if backend not in BACKENDS_HERE and not is_double(python):
        return await start_worker(backend, log_path)
    return await fork_worker(backend, log_path, python)


async def fork_worker(backend: str, log_path: Path, python: str = sys.executable) -> EngineProcess:
    """As `EngineProcess.start`, for an interpreter that has the libraries which are imported here."""
    if _running and not _running[0].alive:
        _running.pop()
    if not _running:
        _running.append(ForkServer())
    return await _running[0].start(backend, log_path, python)


def serve(connection: socket.socket) -> None:
    """Fork a worker for each request, until the tests' end of `connection` is closed."""
    exit_codes: dict[int, socket.socket] = {}
    # Not in the handler: the signal may reach a library's thread, and this one would sleep on.
    ended, noted = socket.socketpair()
    noted.setblocking(False)
    signal.set_wakeup_fd(noted.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready, _, _ = select.select([connection, ended], [], [])
        if ended in ready:
            ended.recv(4096)
            _collect(exit_codes)
        if connection in ready and not _fork_one(connection, exit_codes):
            return


def _fork_one(connection: socket.socket, exit_codes: dict[int, socket.socket]) -> bool:
    """Take one request; returns False at the end of all."""
    request, descriptors, _, _ = socket.recv_fds(connection, REQUEST_BYTES, 4)
    if not request:
        return False
    if (pid := os.fork()) == 0:
        connection.close()
        _become_worker(json.loads(request), descriptors)
    exit_codes[pid] = socket.socket(fileno=descriptors.pop())
    for descriptor in descriptors:
        os.close(descriptor)
    connection.send(str(pid).encode())
    return True


def _collect(exit_codes: dict[int, socket.socket]) -> None:
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            pid, status = found
            with contextlib.suppress(OSError), exit_codes.pop(pid) as exit_code:
                exit_code.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become_worker(request: dict[str, Any], descriptors: list[int]) -> None:
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        # The hub's address and cache are read from the environment at the import.
        reload(import_module("huggingface_hub.constants"))
        for number, descriptor in enumerate(descriptors[:3]):
            os.dup2(descriptor, number)
        for descriptor in descriptors:
            os.close(descriptor)
        if request["python"] != sys.executable:
            sys.executable = request["python"]
            _use_packages(packages_of(Path(sys.executable)))
        sys.argv = ["engines.worker", "--backend", request["backend"], "--parent", str(os.getppid())]
        import_module("engines.worker.__main__").main()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def _use_packages(folder: Path) -> None:
    """Import from this folder first, also what the server has imported already, such as pynvml."""
    sys.path.insert(0, str(folder))
    own = {path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()}
    for name in [name for name in sys.modules if name.partition(".")[0] in own]:
        del sys.modules[name]


def _main() -> None:
    connection = socket.socket(fileno=int(sys.argv[1]))
    die_with_parent(os.getppid())
    for name in WARM:
        import_module(name)
    gc.collect()
    gc.freeze()
    serve(connection)


if __name__ == "__main__":
    _main()
