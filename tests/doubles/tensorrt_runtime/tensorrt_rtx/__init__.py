"""TensorRT for RTX with its real builder, and a double of its runtime; see the README beside this package."""

from __future__ import annotations

import builtins  # the library has types of its own named bool and float
import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import tensorrt_rtx_bindings as real
from tensorrt_rtx_bindings import *  # noqa: F403 - the library's own names
from tensorrt_rtx_bindings import __version__ as __version__

from engines.backends.tensorrt.library import logger
from tensorrt_rtx.engine import Engine
from tensorrt_rtx.host_memory import use_host_memory

FAILURE = os.environ.get("TENSORRT_DOUBLE_FAILURE", "")
NO_DRIVER = ("cudaError 35", "cudaError 100", "CUDA initialization failure", "driver version is insufficient")


def _graphs(plan: bytes) -> Path:
    name = hashlib.sha256(plan).hexdigest()[:32]
    return Path(os.environ["TENSORRT_DOUBLE_GRAPHS"]) / name


class OnnxParser(real.OnnxParser):  # type: ignore[misc]
    """The real parser, which remembers the file."""

    def __init__(self, network: Any, logger: Any) -> None:
        super().__init__(network, logger)

    def parse_from_file(self, path: str) -> builtins.bool:
        Builder.graph = Path(path)
        parsed: builtins.bool = super().parse_from_file(path)
        return parsed


class Builder(real.Builder):  # type: ignore[misc]
    """The real builder, which keeps the graph and the profile of each plan for the double of the runtime."""

    graph: Path | None = None

    def __init__(self, logger: Any) -> None:
        super().__init__(logger)
        self._profile: Any = None

    def create_optimization_profile(self) -> Any:
        self._profile = super().create_optimization_profile()
        return self._profile

    def build_serialized_network(self, network: Any, config: Any) -> Any:
        plan = super().build_serialized_network(network, config)
        if plan is not None and Builder.graph:
            folder = _graphs(bytes(plan))
            shutil.copytree(Builder.graph.parent, folder, dirs_exist_ok=True)
            names = [network.get_input(place).name for place in range(network.num_inputs)]
            lines = []
            for name in names:
                if -1 in list(network.get_input(names.index(name)).shape):
                    least, _, most = self._profile.get_shape(name)
                    lines.append(f"{name} {','.join(map(str, least))} {','.join(map(str, most))}")
            (folder / "profile.txt").write_text("\n".join(lines))
        return plan


class Runtime:
    """The double: it loads what the real runtime would load on a machine with a GPU."""

    def __init__(self, logger: Any) -> None:
        self._logger = logger

    @property
    def engine_header_size(self) -> builtins.int:
        size: builtins.int = real.Runtime(self._logger).engine_header_size
        return size

    def deserialize_cuda_engine(self, plan: bytes) -> Engine | None:
        # A process has one logger: the first one that is given to the library. So the real runtime reports to
        # the product's own, and its messages are read there.
        messages = logger()[1]
        messages.clear()
        if real.Runtime(self._logger).deserialize_cuda_engine(plan) is not None:
            raise RuntimeError("this machine has a GPU: use the real runtime")
        # A damaged plan is reported besides the missing driver.
        is_whole = all(any(sign in text for sign in NO_DRIVER) for text in messages.errors)
        if FAILURE == "no-driver" or not is_whole:
            return None
        messages.clear()
        if FAILURE == "other-release":
            self._report("The engine plan file is not compatible with this version of TensorRT.")
            return None
        return Engine(_graphs(plan), self._report)

    def _report(self, text: str) -> None:
        self._logger.log(real.ILogger.Severity.ERROR, text)


class IRuntimeCache:
    """Compiled kernels of TensorRT for RTX; here none."""


class CudaGraphStrategy:
    DISABLED = 0
    WHOLE_GRAPH_CAPTURE = 1


class DynamicShapesKernelSpecializationStrategy:
    LAZY = 0
    EAGER = 1
    NONE = 2


use_host_memory()
