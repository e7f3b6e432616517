"""Import the compiler in a thread while the weights are read: it takes seconds, reading waits for disks."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from threading import Thread

import torch._dynamo  # noqa: F401 - complete before the thread: parts of it and of the rest import each other

POOL = "torch._inductor.async_compile"
COMPILER = (
    "torch._dynamo.repro.after_dynamo",
    "torch._inductor.compile_fx",
    "torch._inductor.runtime.triton_heuristics",
    "triton.compiler",
)
"""Modules that torch.compile imports when it is first called, with most of what they import in turn."""


class CompilerImports:
    """The compiler's modules, imported in a thread from now on.

    Until `wait` has returned, other threads must not import other parts of torch or torchao: where two
    threads import modules that import each other, Python hands out unfinished ones. Models of transformers
    import none once `engines.backends.compiled.model` is imported.
    """

    def __init__(self, workers: bool = False) -> None:
        """Begin.

        Args:
            workers: Also start the compiler's worker processes, which take as long as a start of torch.
                Kernels are compiled one after the other until they are ready.
        """
        self._thread = Thread(target=_import, args=(workers,), name="compiler-imports", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Return when all are imported."""
        self._thread.join()


def _import(workers: bool) -> None:
    with suppress(Exception):
        if workers:
            import_module(POOL).maybe_warm_pool()
    for name in COMPILER:
        with suppress(Exception):  # torch.compile imports it again, and reports what is wrong
            import_module(name)
