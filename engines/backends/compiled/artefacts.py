"""Save the compiler's output with the engine, so that later loads compile nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import torch
from torch._dynamo.utils import counters

FILE = "compiled.bin"
LIBRARIES = "libraries"
VARIABLE = "TORCHINDUCTOR_CACHE_DIR"


class CompilerCache:
    """PyTorch's compile cache in a temporary folder, restored from the engine and deleted by `close`.

    The default folder is shared by all processes of the user and never cleaned up.
    """

    def __init__(self) -> None:
        self._before = os.environ.get(VARIABLE)
        self._folder = Path(tempfile.mkdtemp(prefix="trt-playground-compiler-"))
        os.environ[VARIABLE] = str(self._folder)
        counters.clear()

    def restore(self, directory: Path) -> bool:
        """Load what `save` wrote to `directory`; return False if there is nothing or PyTorch rejects it."""
        file = directory / FILE
        if not file.is_file():
            return False
        # The artefacts contain graphs and sources; the libraries that g++ built from them are stored
        # separately.
        if (directory / LIBRARIES).is_dir():
            shutil.copytree(directory / LIBRARIES, self._folder, dirs_exist_ok=True)
        return torch.compiler.load_cache_artifacts(file.read_bytes()) is not None

    def save(self, directory: Path) -> int:
        """Write everything compiled in this process to `directory`.

        Returns:
            The size of the artefacts in bytes, without the libraries; 0 if nothing was compiled.
        """
        saved = torch.compiler.save_cache_artifacts()
        if saved is None:
            return 0
        for library in self._folder.rglob("*.so"):
            target = directory / LIBRARIES / library.relative_to(self._folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(library, target)
        return (directory / FILE).write_bytes(saved[0])

    @property
    def graphs_compiled(self) -> int:
        """Number of graphs that were compiled because they were not in the cache."""
        return int(counters["inductor"]["fxgraph_cache_miss"] + counters["inductor"]["fxgraph_cache_bypass"])

    def close(self) -> None:
        """Delete the folder and restore the environment variable."""
        if self._before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = self._before
        shutil.rmtree(self._folder, ignore_errors=True)
