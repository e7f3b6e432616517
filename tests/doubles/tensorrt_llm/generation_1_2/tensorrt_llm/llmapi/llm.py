"""The classes that users make, as in 1.2."""

from __future__ import annotations

import itertools
import os
import queue
import time
from pathlib import Path
from typing import Any

from tensorrt_llm import _double
from tensorrt_llm.executor.base_worker import BaseWorker
from tensorrt_llm.executor.result import GenerationResult
from tensorrt_llm.llmapi.llm_args import BaseLlmArgs, TorchLlmArgs, TrtLlmArgs
from tensorrt_llm.sampling_params import SamplingParams
from tensorrt_llm.version import __version__


class RequestOutput(GenerationResult):
    """What users iterate over."""

    prompt: str | None = None


class BaseLLM:
    """What both classes do."""

    _args_class: type[BaseLlmArgs]

    def __init__(
        self,
        model: Any,
        tokenizer: Any = None,
        tokenizer_mode: str = "auto",
        skip_tokenizer_init: bool = False,
        trust_remote_code: bool = False,
        tensor_parallel_size: int = 1,
        dtype: str = "auto",
        revision: str | None = None,
        tokenizer_revision: str | None = None,
        **kwargs: Any,
    ) -> None:
        for key in kwargs:
            if key not in self._args_class.model_fields and key not in ("_mpi_session", "backend"):
                raise ValueError(f"LLM got invalid argument: {key}")
        self.args = self._args_class(
            model=model,
            tokenizer=tokenizer,
            skip_tokenizer_init=skip_tokenizer_init,
            trust_remote_code=trust_remote_code,
            tensor_parallel_size=tensor_parallel_size,
            dtype=dtype,
            **kwargs,
        )
        if tensor_parallel_size > 1:
            raise RuntimeError(f"Only 1 GPUs are available, but {tensor_parallel_size} are required.")
        _double.on_load()
        self._shutdown = False
        self._asked = False
        self._build_model()
        cache = self.args.kv_cache_config
        self._executor = BaseWorker(
            self._model, cache.max_tokens or 1_000_000, cache.tokens_per_block, self._statistics()
        )
        self._ids = itertools.count(1)

    def _build_model(self) -> None:
        self._model = _double.load_model(Path(self.args.model))

    def _statistics(self) -> bool:
        return True

    @property
    def tokenizer(self) -> Any:
        """The checkpoint's."""
        return self.args.tokenizer

    def generate_async(
        self,
        inputs: Any,
        sampling_params: SamplingParams | None = None,
        lora_request: Any = None,
        streaming: bool = False,
        kv_cache_retention_config: Any = None,
        disaggregated_params: Any = None,
        scheduling_params: Any = None,
        cache_salt: str | None = None,
    ) -> RequestOutput:
        """Start a request."""
        if self._shutdown:
            raise RuntimeError("LLM is shutting down")
        ids = inputs["prompt_token_ids"] if isinstance(inputs, dict) else inputs
        if not isinstance(ids, list):
            raise TypeError(f"The inputs must be type list of int, but got {type(inputs)}")
        params = sampling_params or SamplingParams()
        if not self.args.enable_chunked_prefill and len(ids) > (self.args.max_num_tokens or 8192):
            raise ValueError(f"The prompt has {len(ids)} tokens, more than max_num_tokens")
        self._asked = True
        self._mark_undone()
        result = RequestOutput(list(ids))
        if cache_salt is not None:
            self._executor._held = []
        self._executor.submit(result, params, params.end_id)
        return result

    def _mark_undone(self) -> None:
        """The classic path of statistics begins anew with every prompt."""
        self._stats_done = False

    def get_stats(self, timeout: float | None = 2) -> list[dict[str, Any]]:
        """The classic path: waits until nothing comes, then delivers nothing before the next prompt."""
        if not self._asked:
            print("\033[33mIteration statistics are not available yet. Please submit prompts first.\033[0m")
            return []
        if self._stats_done:
            return []
        waiting: queue.Queue[dict[str, Any]] = queue.Queue()
        found = []
        while True:
            for record in self._executor.fetch():
                waiting.put(record)
            try:
                found.append(waiting.get(timeout=timeout))
            except queue.Empty:
                self._stats_done = True
                return found

    def get_kv_cache_events(self, timeout: float | None = 2) -> list[dict[str, Any]]:
        """None were asked for."""
        return []

    def shutdown(self) -> None:
        """End the executor."""
        self._shutdown = True
        if _double.wants("hang-at-shutdown"):
            time.sleep(3600)

    def __enter__(self) -> BaseLLM:
        return self

    def __exit__(self, *_: object) -> bool:
        self.shutdown()
        return False

    def __getstate__(self) -> None:
        raise RuntimeError(f"{type(self).__name__} object can not be pickled.")


class _TorchLLM(BaseLLM):
    _args_class = TorchLlmArgs

    def _build_model(self) -> None:
        super()._build_model()
        _double.on_warm_up(self.args.cuda_graph_config.batch_sizes or [])

    def _statistics(self) -> bool:
        return bool(self.args.enable_iter_perf_stats)


class _TrtLLM(BaseLLM):
    _args_class = TrtLlmArgs

    def _build_model(self) -> None:
        model = Path(self.args.model)
        self._built = not (model / "rank0.engine").is_file()
        if self._built:
            labels = ("Loading HF model to memory", "Building TRT-LLM engine")
            for index, label in enumerate(labels, 1):
                os.write(
                    1, f"\033[38;20mLoading Model: \033[1;32m[{index}/2]\t\033[1;31m{label}\033[0m\n".encode()
                )
                os.write(1, b"\033[38;20mTime: 0.010s\n\033[0m")
            os.write(1, b"\033[1;32mLoading model done.\n\033[0mTotal latency: 0.020s\n")
        super()._build_model()

    def save(self, engine_dir: str) -> None:
        """Copy the engine."""
        if not self._built:
            raise RuntimeError("The engine is not built yet.")
        _double.save_engine(self._model, Path(engine_dir), __version__)


class LLM(_TorchLLM):
    """The public class."""

    def __init__(self, model: Any, tokenizer: Any = None, **kwargs: Any) -> None:
        foreign = sorted(set(kwargs) & (set(TrtLlmArgs.model_fields) - set(TorchLlmArgs.model_fields)))
        if foreign:
            raise ValueError(
                "The following arguments are specific to TensorRT backend and cannot be used with PyTorch "
                f"backend: {foreign}.\nPlease use 'from tensorrt_llm._tensorrt_engine import LLM' instead."
            )
        self._stats_done = False
        super().__init__(model, tokenizer, **kwargs)
