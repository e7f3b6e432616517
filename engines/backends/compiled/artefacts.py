"""What the compiler made, kept with the engine: a second load compiles nothing, or says what it compiled."""

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
    """PyTorch's compile caches in a folder of this process, filled from the engine and gone with it.

    The folder is private: the usual one is shared by all programs of the user and never emptied.
    """

    def __init__(self) -> None:
        self._before = os.environ.get(VARIABLE)
        self._folder = Path(tempfile.mkdtemp(prefix="trt-playground-compiler-"))
        os.environ[VARIABLE] = str(self._folder)
        counters.clear()

    def fill(self, directory: Path) -> bool:
        """Take over what `save` wrote; False where there is nothing or PyTorch cannot use it."""
        file = directory / FILE
        if not file.is_file():
            return False
        # The artefacts hold graphs and sources; the libraries that g++ made of them lie beside.
        if (directory / LIBRARIES).is_dir():
            shutil.copytree(directory / LIBRARIES, self._folder, dirs_exist_ok=True)
        return torch.compiler.load_cache_artifacts(file.read_bytes()) is not None

    def save(self, directory: Path) -> int:
        """Write everything compiled in this process; returns the bytes."""
        saved = torch.compiler.save_cache_artifacts()
        if saved is None:
            return 0
        for library in self._folder.rglob("*.so"):
            target = directory / LIBRARIES / library.relative_to(self._folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(library, target)
        return (directory / FILE).write_bytes(saved[0])

    @property
    def compiled(self) -> int:
        """Graphs that were compiled because no cache had them."""
        return int(counters["inductor"]["fxgraph_cache_miss"] + counters["inductor"]["fxgraph_cache_bypass"])

    def close(self) -> None:
        """Remove the folder."""
        if self._before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = self._before
        shutil.rmtree(self._folder, ignore_errors=True)
