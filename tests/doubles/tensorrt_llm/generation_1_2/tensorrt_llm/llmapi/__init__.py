"""The public names of release 1.2."""

from tensorrt_llm.executor.result import CompletionOutput
from tensorrt_llm.executor.utils import RequestError
from tensorrt_llm.llmapi.llm import LLM, RequestOutput
from tensorrt_llm.llmapi.llm_args import (
    BuildConfig,
    CalibConfig,
    CudaGraphConfig,
    KvCacheConfig,
    TorchLlmArgs,
    TrtLlmArgs,
)
from tensorrt_llm.models.modeling_utils import QuantConfig
from tensorrt_llm.quantization.mode import QuantAlgo
from tensorrt_llm.sampling_params import SamplingParams

__all__ = [
    "LLM",
    "BuildConfig",
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
    "TrtLlmArgs",
]
