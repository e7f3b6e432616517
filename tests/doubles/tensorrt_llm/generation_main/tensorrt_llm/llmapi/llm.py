"""The public LLM class of the main branch."""

from __future__ import annotations

from typing import Any

from tensorrt_llm.executor.params.sampling import SamplingParams
from tensorrt_llm.executor.result import GenerationResult
from tensorrt_llm.llmapi._classes import DoubleLLM, DoubleTorchLLM
from tensorrt_llm.llmapi.llm_args import TorchLlmArgs


class RequestOutput(GenerationResult):
    """The result of a request."""

    prompt: str | None = None


class BaseLLM(DoubleLLM):
    """The public methods."""

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
        return self._submit(RequestOutput, inputs, sampling_params, cache_salt)

    def get_stats(self, timeout: float | None = 2) -> list[dict[str, Any]]:
        """Return all new records immediately."""
        return self._executor.fetch()

    def shutdown(self) -> None:
        """End the executor."""
        self._end()


class _TorchLLM(BaseLLM, DoubleTorchLLM):
    _args_class = TorchLlmArgs
    _graph_line = "Run generation-only CUDA graph warmup (greedy)"


class LLM(_TorchLLM):
    """The public PyTorch-based class."""
