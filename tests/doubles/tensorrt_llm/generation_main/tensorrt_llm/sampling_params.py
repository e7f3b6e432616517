"""The former home of SamplingParams: it forwards, and warns."""

import warnings

from tensorrt_llm.executor.params.sampling import SamplingParams

warnings.warn(
    "tensorrt_llm.sampling_params has moved to tensorrt_llm.executor.params.sampling",
    DeprecationWarning,
    stacklevel=2,
)

__all__ = ["SamplingParams"]
