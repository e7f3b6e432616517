"""Command line, environment variables and log of a worker."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from engines.worker.log_files import prune_logs, set_aside

ENGINES = Path(__file__).resolve().parents[1]
LOG_BYTES = 1_000_000
"""A log longer than this is renamed to `.old` when the next worker starts."""
TAIL_BYTES = 16_384
# Another environment's interpreter gets this one package only: with the folder above on its path, it would
# import the torch that is installed with the app. The working folder is removed as well: a file named json.py
# in it would be imported.
_BOOTSTRAP = """\
import sys
sys.path[:] = [place for place in sys.path if place]
from importlib.util import module_from_spec, spec_from_file_location
from runpy import run_module
folder = sys.argv.pop(1)
spec = spec_from_file_location("engines", folder + "/__init__.py", submodule_search_locations=[folder])
sys.modules["engines"] = module_from_spec(spec)
spec.loader.exec_module(sys.modules["engines"])
run_module("engines.worker", run_name="__main__", alter_sys=True)
"""
_OF_OUR_INTERPRETER = ("PYTHONHOME", "PYTHONPATH", "PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__")


def command_line(backend: str, python: str) -> list[str]:
    """Return the command that starts a worker for `backend` with the interpreter `python`."""
    return [python, "-c", _BOOTSTRAP, str(ENGINES), "--backend", backend, "--parent", str(os.getpid())]


def environment(python: str) -> dict[str, str]:
    """Return the app's environment variables, without those that lead another interpreter to our packages."""
    ours = Path(python) == Path(sys.executable)
    kept = {name: value for name, value in os.environ.items() if ours or name not in _OF_OUR_INTERPRETER}
    return kept | {
        "PYTHONUNBUFFERED": "1",
        "TOKENIZERS_PARALLELISM": "false",
        # CUDA's default order is the fastest first; here `cuda:N` means the N-th in the driver's order.
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "0",
        # A network that drops packets counts as unreachable after five seconds.
        "HF_HUB_ETAG_TIMEOUT": kept.get("HF_HUB_ETAG_TIMEOUT", "5"),
    }


class WorkerLog:
    """The file with everything that a worker and its libraries print.

    Attributes:
        path: the file. Where it cannot be written, the worker runs without a log.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start = 0

    @contextlib.contextmanager
    def opened(self, title: str) -> Iterator[int]:
        """Open the file, and yield its descriptor for a new worker to inherit."""
        descriptor = self._open()
        try:
            os.write(descriptor, f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} {title}\n".encode())
            self._start = os.fstat(descriptor).st_size
            yield descriptor
        finally:
            os.close(descriptor)

    def tail(self, lines: int) -> str:
        """Return the last lines that this worker printed."""
        try:
            with self.path.open("rb") as stream:
                size = os.fstat(stream.fileno()).st_size
                # The worker empties a log that grows too long, so its start may be gone.
                start = self._start if self._start <= size else 0
                stream.seek(max(start, size - TAIL_BYTES))
                text = stream.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _open(self) -> int:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                if self.path.stat().st_size > LOG_BYTES:
                    self.path.replace(set_aside(self.path))
            prune_logs(self.path)
            return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError:
            return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
