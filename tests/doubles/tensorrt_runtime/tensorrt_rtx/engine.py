"""A loaded plan and its execution context, computed by ONNX Runtime."""

from __future__ import annotations

import ctypes
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import tensorrt_rtx_bindings as real

FAILURE = os.environ.get("TENSORRT_DOUBLE_FAILURE", "")
TYPES = {
    "tensor(float)": (real.DataType.FLOAT, np.float32),
    "tensor(float16)": (real.DataType.HALF, np.float16),
    "tensor(int64)": (real.DataType.INT64, np.int64),
}
Report = Callable[[str], None]


class Engine:
    """As ICudaEngine."""

    def __init__(self, folder: Path, report: Report) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        # By default it rounds the activations of products with quantised weights to 8 bits.
        options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
        self.session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self.inputs = {value.name: value for value in self.session.get_inputs()}
        self.outputs = {value.name: value for value in self.session.get_outputs()}
        self.tensors = self.inputs | self.outputs
        self.report = report
        self.limits = {}
        for line in (folder / "profile.txt").read_text().splitlines():
            name, least, most = line.split()
            self.limits[name] = tuple(tuple(map(int, one.split(","))) for one in (least, most))

    @property
    def num_io_tensors(self) -> int:
        return len(self.tensors)

    def get_tensor_name(self, place: int) -> str:
        return list(self.tensors)[place]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(size if isinstance(size, int) else -1 for size in self.tensors[name].shape)

    def get_tensor_dtype(self, name: str) -> Any:
        return TYPES[self.tensors[name].type][0]

    def create_runtime_config(self) -> RuntimeConfig:
        return RuntimeConfig()

    def create_execution_context(self, _config: RuntimeConfig | None = None) -> Context | None:
        if FAILURE == "out-of-memory":
            self.report("Requested amount of GPU memory could not be allocated: cudaError 2: out of memory")
            return None
        return Context(self)

    def create_engine_inspector(self) -> Inspector:
        return Inspector(self)


class RuntimeConfig:
    """As IRuntimeConfig."""

    cuda_graph_strategy = 0
    dynamic_shapes_kernel_specialization_strategy = 0

    def create_runtime_cache(self) -> RuntimeCache:
        return RuntimeCache()

    def set_runtime_cache(self, cache: RuntimeCache) -> bool:
        return isinstance(cache, RuntimeCache)


class RuntimeCache:
    """As IRuntimeCache: it counts how often it was kept, so that a test sees it come back."""

    def __init__(self) -> None:
        self._times = 0

    def deserialize(self, data: bytes) -> bool:
        self._times = int(data)
        return True

    def serialize(self) -> bytes:
        return str(self._times + 1).encode()


class Inspector:
    """As IEngineInspector."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get_engine_information(self, _form: Any) -> str:
        return json.dumps({"Layers": list(self._engine.outputs), "Bindings": list(self._engine.tensors)})


class Context:
    """As IExecutionContext."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._addresses: dict[str, int] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self.profiler: Any = None

    def set_tensor_address(self, name: str, address: int) -> bool:
        if name not in self._engine.tensors:
            return self._refuse(f"there is no tensor {name}")
        self._addresses[name] = address
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        if name not in self._engine.inputs:
            return self._refuse(f"there is no input {name}")
        least, most = self._engine.limits.get(name, (self._engine.get_tensor_shape(name),) * 2)
        fits = len(shape) == len(least) and all(
            low <= size <= high for low, size, high in zip(least, shape, most, strict=True)
        )
        if not fits:
            return self._refuse(f"{name}: {shape} is not between {least} and {most}")
        self._shapes[name] = tuple(shape)
        return True

    def infer_shapes(self) -> list[str]:
        known = self._shapes.keys() & self._addresses.keys()
        return [name for name in self._engine.inputs if name not in known and not name.startswith("past.")]

    def execute_async_v3(self, stream: int) -> bool:
        if FAILURE == "step":
            return self._refuse("a kernel failed: cudaError 700: an illegal memory access was encountered")
        if stream == 0 or (problem := self._problem()):
            return self._refuse(problem if stream else "the default stream")
        started = time.perf_counter()
        binding = self._engine.session.io_binding()
        for name, value in self._engine.tensors.items():
            bind = binding.bind_input if name in self._engine.inputs else binding.bind_output
            shape = self._shape(name)
            bind(name, "cpu", 0, TYPES[value.type][1], shape, self._addresses[name])
        self._engine.session.run_with_iobinding(binding)
        if self.profiler is not None:
            self.profiler.report_layer_time("whole step of the double", 1e3 * (time.perf_counter() - started))
        return True

    def _problem(self) -> str:
        if missing := self.infer_shapes() or [
            one for one in self._engine.tensors if one not in self._addresses
        ]:
            return f"not set: {missing}"
        for name in self._engine.inputs:
            if (
                name.startswith("past.")
                and self._addresses[name] != self._addresses[name.replace("past", "present")]
            ):
                return f"{name} is not updated in place"
        cache = self._engine.get_tensor_shape("past.0.key")[2]
        place, last = self._read("write_index")[0], self._read("position_ids")[-1]
        if place + self._shapes["input_ids"][1] > cache:
            return "tokens are written beyond the cache"
        if self._shapes["used"][0] < last + 1:
            return "attention does not see its own position"
        return ""

    def _shape(self, name: str) -> tuple[int, ...]:
        if name == "logits":
            return (1, self._shapes["rows"][0], self._engine.get_tensor_shape("logits")[2])
        return self._shapes.get(name) or self._engine.get_tensor_shape(name)

    def _read(self, name: str) -> Any:
        count = int(np.prod(self._shapes[name]))
        pointer = ctypes.cast(self._addresses[name], ctypes.POINTER(ctypes.c_int64))
        return np.ctypeslib.as_array(pointer, (count,))

    def _refuse(self, why: str) -> bool:
        self._engine.report(f"Error Code 3: API Usage Error ({why})")
        return False
