"""Keep the compiler's output with the engine, so that later loads neither compile nor tune."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import tempfile
from pathlib import Path

import torch._inductor.config

from engines.backends.compiled.work import reset

FILE = "compiled.tar"
VARIABLES = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")
NOT_KEPT = ("precompiled_headers", "locks", "tmp.", ".tmp", ".lock", ".ttir", ".ttgir", ".llir", ".source")
"""Starts and ends of names that no load reads: C++ headers, and stages of compilation before the last."""
GROUP = "__grp__"
"""Start of the name of Triton's lists of the files of a kernel, with absolute paths."""
FOLDER = "@COMPILER_CACHE@"
"""Replaces the folder in these lists."""


class CompilerCache:
    """PyTorch's compile cache in a temporary folder, restored from the engine and deleted by `close`.

    The default folder is shared by all processes of the user and never cleaned up. The folder is kept as it
    is: `torch.compiler.save_cache_artifacts` leaves out the kernels that tuning chose, and each load would
    compile them.
    """

    def __init__(self) -> None:
        self._before = {name: os.environ.get(name) for name in VARIABLES}
        self._threads = torch._inductor.config.compile_threads
        self._folder = Path(tempfile.mkdtemp(prefix="trt-playground-compiler-"))
        for name, folder in zip(VARIABLES, (self._folder, self._folder / "triton"), strict=True):
            os.environ[name] = str(folder)
        reset()

    def restore(self, directory: Path) -> bool:
        """Unpack what `save` wrote to `directory`; return False if there is nothing.

        The compiler then starts no worker processes: there should be nothing for them to compile.
        """
        if not (directory / FILE).is_file():
            return False
        with tarfile.open(directory / FILE) as archive:
            archive.extractall(self._folder, filter="data")
        for file in self._folder.rglob(f"{GROUP}*"):
            file.write_text(file.read_text("utf-8").replace(FOLDER, str(self._folder)), "utf-8")
        torch._inductor.config.compile_threads = 1
        return True

    def save(self, directory: Path) -> int:
        """Write everything that was compiled and tuned in this folder to `directory`.

        Returns:
            The size in bytes.
        """
        with tarfile.open(directory / FILE, "w") as archive:
            for file in sorted(self._folder.rglob("*")):
                name = file.relative_to(self._folder)
                if file.is_file() and not any(map(_is_left_out, name.parts)):
                    self._add(archive, file, str(name))
        return (directory / FILE).stat().st_size

    def _add(self, archive: tarfile.TarFile, file: Path, name: str) -> None:
        content = file.read_bytes()
        if file.name.startswith(GROUP):
            content = content.replace(str(self._folder).encode(), FOLDER.encode())
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        entry.mode = 0o700 if file.suffix == ".so" else 0o600
        archive.addfile(entry, io.BytesIO(content))

    def close(self) -> None:
        """Delete the folder and restore the environment variables."""
        torch._inductor.config.compile_threads = self._threads
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        shutil.rmtree(self._folder, ignore_errors=True)


def _is_left_out(name: str) -> bool:
    return name.startswith(NOT_KEPT) or name.endswith(NOT_KEPT)
