"""The public names of the main branch."""

from tensorrt_llm.executor.params.sampling import SamplingParams
from tensorrt_llm.executor.result import CompletionOutput
from tensorrt_llm.executor.utils import RequestError
from tensorrt_llm.llmapi.llm import LLM, RequestOutput
from tensorrt_llm.llmapi.llm_args import (
    CalibConfig,
    CudaGraphConfig,
    KvCacheConfig,
    TorchLlmArgs,
)
from tensorrt_llm.models.modeling_utils import QuantConfig
from tensorrt_llm.quantization.mode import QuantAlgo

__all__ = [
    "LLM",
    "CalibConfig",
    "CompletionOutput",
    "CudaGraphConfig",
    "KvCacheConfig",
    "QuantAlgo",
    "QuantConfig",
    "RequestError",
    "RequestOutput",
    "SamplingParams",
    "TorchLlmArgs",
]
