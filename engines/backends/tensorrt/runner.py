"""Run a plan: one address for past and present keys and values, fixed buffers for everything else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from engines.backends.graph_backend import GraphRunner
from engines.backends.tensorrt import plan_file
from engines.backends.tensorrt.device_memory import DeviceMemory
from engines.backends.tensorrt.failures import load_failure
from engines.backends.tensorrt.library import library, logger
from engines.errors import EngineError

BUCKET = 256
"""Attention sees a multiple of this: the mask hides the rest, and TensorRT for RTX compiles few shapes."""
SCORED_TOKENS = 64
"""New tokens in a step that needs logits for each: they are in fp32 over the whole vocabulary."""


class TensorRTRunner(GraphRunner):
    """A plan on one GPU, with its execution context."""

    def __init__(self, folder: Path, details: plan_file.PlanDetails, memory: DeviceMemory) -> None:
        """Load a plan, and what TensorRT for RTX compiled of it at an earlier time.

        Raises:
            EngineError: why the plan cannot be loaded on this machine.
        """
        super().__init__()
        self._trt, self._folder, self._memory = library(), folder, memory
        self._engine = self._loaded(plan_file.read_plan(folder))
        self._cache: Any = None
        self._context = self._created()
        self.capacity, self.device = details.context, str(memory.device)
        self.chunk_tokens = details.chunk_tokens
        self.weight_bytes = (folder / plan_file.PLAN).stat().st_size
        self.vocabulary = int(self._engine.get_tensor_shape("logits")[2])
        self._bind_cache()
        self._bind_inputs()
        self._set_addresses()

    def compute(self, token_ids: Sequence[int], start: int, *, all_rows: bool) -> Any:
        """See `GraphRunner.compute`."""
        if not all_rows:
            return self._step(token_ids, start, [len(token_ids) - 1])
        parts = []
        for begin in range(0, len(token_ids), SCORED_TOKENS):
            part = token_ids[begin : begin + SCORED_TOKENS]
            parts.append(self._step(part, start + begin, range(len(part))).clone())
        return torch.cat(parts)

    def close(self) -> None:
        """Keep the compiled kernels with the engine, so that the next load does not compile them again."""
        if self._cache is not None:
            with suppress(OSError):  # the store may be read-only
                (self._folder / plan_file.RUNTIME_CACHE).write_bytes(bytes(self._cache.serialize()))

    # --- loading ----------------------------------------------------------------------------------------

    def _loaded(self, plan: bytes) -> Any:
        log, messages = logger()
        messages.clear()
        self._runtime = self._trt.Runtime(log)
        if len(plan) < self._runtime.engine_header_size:
            raise plan_file.damaged()
        engine = self._runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise load_failure(messages.errors)
        return engine

    def _created(self) -> Any:
        """Return an execution context; with TensorRT for RTX one that captures a CUDA graph of each step."""
        trt, engine = self._trt, self._engine
        _, messages = logger()
        messages.clear()
        if hasattr(trt, "IRuntimeCache"):
            config = engine.create_runtime_config()
            config.cuda_graph_strategy = trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
            config.dynamic_shapes_kernel_specialization_strategy = (
                trt.DynamicShapesKernelSpecializationStrategy.LAZY
            )
            if self._cache is None:
                self._cache = config.create_runtime_cache()
                with suppress(OSError):
                    self._cache.deserialize((self._folder / plan_file.RUNTIME_CACHE).read_bytes())
            config.set_runtime_cache(self._cache)
            context = engine.create_execution_context(config)
        else:
            context = engine.create_execution_context()
        if context is None:
            raise load_failure(messages.errors)
        return context

    def _bind_cache(self) -> None:
        self._keys_and_values = []
        self._addresses: dict[str, int] = {}
        names = [self._engine.get_tensor_name(place) for place in range(self._engine.num_io_tensors)]
        for name in (one for one in names if one.startswith("past.")):
            shape = [int(size) for size in self._engine.get_tensor_shape(name)]
            buffer = self._memory.empty(shape, self._type_of(name))
            self._keys_and_values.append(buffer)
            for one in (name, name.replace("past.", "present.")):
                self._addresses[one] = buffer.data_ptr()
        total = sum(buffer.nbytes for buffer in self._keys_and_values)
        self.bytes_per_token = total // self.capacity

    def _bind_inputs(self) -> None:
        """Give each input a buffer of the largest size: a captured graph reads the same addresses again."""
        sizes = {
            "input_ids": self.chunk_tokens,
            "position_ids": self.chunk_tokens,
            "write_index": 1,
            "used": self.capacity,
            "rows": self.chunk_tokens,
        }
        self._inputs = {
            name: self._memory.empty((size,), self._type_of(name)) for name, size in sizes.items()
        }
        self._memory.write(self._inputs["used"], range(self.capacity))
        self._addresses |= {name: buffer.data_ptr() for name, buffer in self._inputs.items()}
        rows = min(SCORED_TOKENS, self.chunk_tokens)
        self._logits = self._memory.empty((rows, self.vocabulary), torch.float32)
        self._addresses["logits"] = self._logits.data_ptr()

    def _set_addresses(self) -> None:
        for name, address in self._addresses.items():
            self._require(self._context.set_tensor_address(name, address), f"there is no tensor {name}")

    def _type_of(self, name: str) -> torch.dtype:
        types = self._trt.DataType
        return {
            types.FLOAT: torch.float32,
            types.HALF: torch.float16,
            types.BF16: torch.bfloat16,
            types.INT64: torch.int64,
            types.INT32: torch.int32,
        }[self._engine.get_tensor_dtype(name)]

    # --- one step ---------------------------------------------------------------------------------------

    def _step(self, token_ids: Sequence[int], start: int, rows: Sequence[int]) -> Any:
        count, end = len(token_ids), start + len(token_ids)
        if end > self.capacity:  # the GPU does not check it
            raise EngineError(
                "context-full", f"The engine holds {self.capacity:,} tokens.", "Clear the conversation."
            )
        seen = min(self.capacity, -(-end // BUCKET) * BUCKET)
        self._memory.write(self._inputs["input_ids"], token_ids)
        self._memory.write(self._inputs["position_ids"], range(start, end))
        self._memory.write(self._inputs["write_index"], [start])
        self._memory.write(self._inputs["rows"], rows)
        for name, shape in {
            "input_ids": (1, count),
            "position_ids": (1, count),
            "write_index": (1,),
            "used": (seen,),
            "rows": (len(rows),),
        }.items():
            self._require(self._context.set_input_shape(name, shape), f"{name} cannot be {shape}")
        missing = self._context.infer_shapes()
        self._require(not missing, f"{', '.join(missing)} not set")
        self._require(self._context.execute_async_v3(self._memory.handle), "a step failed")
        self._memory.synchronise()
        return self._logits[: len(rows)]

    def _require(self, done: bool, what: str) -> None:
        if not done:
            _, messages = logger()
            reason = messages.errors[0][:300] if messages.errors else what
            raise EngineError("engine-failed", f"TensorRT: {reason}.", "Restart this side (F9).")

    # --- inspection -------------------------------------------------------------------------------------

    def describe(self) -> None:
        """Write the engine's layers, and the time of each in a decode step, for the inspector."""
        trt = self._trt
        inspector = self._engine.create_engine_inspector()
        text = inspector.get_engine_information(trt.LayerInformationFormat.JSON)
        with suppress(OSError):
            (self._folder / plan_file.ENGINE_LAYERS).write_text(str(text))
            (self._folder / plan_file.LAYER_TIMES).write_text(json.dumps(self._times()))

    def _times(self) -> dict[str, float]:
        trt, found = self._trt, dict[str, float]()

        class Profiler(trt.IProfiler):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                trt.IProfiler.__init__(self)

            def report_layer_time(self, name: str, milliseconds: float) -> None:
                found[name] = found.get(name, 0.0) + 1000 * milliseconds

        # In a context of its own: answers are not slowed down, and keep their captured graph.
        context, self._context = self._context, self._created()
        try:
            self._set_addresses()
            self._context.profiler = Profiler()
            self._step([0], 0, [0])
        finally:
            self._context = context
        return found
