"""The public LLM classes of release 1.2."""

from __future__ import annotations

import queue
from pathlib import Path
from typing import Any

from tensorrt_llm import _double
from tensorrt_llm.executor.result import GenerationResult
from tensorrt_llm.llmapi._classes import DoubleLLM, DoubleTorchLLM
from tensorrt_llm.llmapi.llm_args import TorchLlmArgs, TrtLlmArgs
from tensorrt_llm.sampling_params import SamplingParams
from tensorrt_llm.version import __version__


class RequestOutput(GenerationResult):
    """The result of a request."""

    prompt: str | None = None


class BaseLLM(DoubleLLM):
    """The public methods."""

    _asked = False
    _stats_done = False

    def generate_async(
        self,
        inputs: Any,
        sampling_params: SamplingParams | None = None,
        lora_request: Any = None,
        prompt_adapter_request: Any = None,
        streaming: bool = False,
        kv_cache_retention_config: Any = None,
        disaggregated_params: Any = None,
        _postproc_params: Any = None,
        scheduling_params: Any = None,
        cache_salt: str | None = None,
    ) -> RequestOutput:
        """Start a request, after which `get_stats` returns records again."""
        self._asked, self._stats_done = True, False
        return self._submit(RequestOutput, inputs, sampling_params, cache_salt)

    def get_stats(self, timeout: float | None = 2) -> list[dict[str, Any]]:
        """Return records until none arrives within `timeout`; after that nothing until the next request."""
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

    def shutdown(self) -> None:
        """End the executor."""
        self._end()


class _TorchLLM(BaseLLM, DoubleTorchLLM):
    _args_class = TorchLlmArgs
    _graph_line = "Run generation only CUDA graph warmup"


class _TrtLLM(BaseLLM):
    _args_class = TrtLlmArgs

    def _build_model(self) -> None:
        folder = Path(self.args.model)
        self._built = not (folder / _double.ENGINE).is_file()
        if self._built:
            _double.on_build()
        else:
            _double.on_engine()
        super()._build_model()

    def _context_logits(self) -> bool:
        return _double.gathers_context_logits(Path(self.args.model), self.args.build_config)

    def save(self, engine_dir: str) -> None:
        """Write the built engine."""
        if not self._built:
            raise RuntimeError("The engine is not built yet.")
        _double.save_engine(self._model, Path(engine_dir), __version__, self._context_logits())


class LLM(_TorchLLM):
    """The public PyTorch-based class."""

    def __init__(self, model: Any, tokenizer: Any = None, **kwargs: Any) -> None:
        foreign = sorted(set(kwargs) & (set(TrtLlmArgs.model_fields) - set(TorchLlmArgs.model_fields)))
        if foreign:
            raise ValueError(
                "The following arguments are specific to TensorRT backend and cannot be used with PyTorch "
                f"backend: {foreign}.\nPlease use 'from tensorrt_llm._tensorrt_engine import LLM' instead."
            )
        super().__init__(model, tokenizer, **kwargs)
