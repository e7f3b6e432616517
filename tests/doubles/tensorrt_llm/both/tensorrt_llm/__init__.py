"""A double of `tensorrt_llm`: the import prints, and hangs or fails if a test requests it."""

from tensorrt_llm import _double
from tensorrt_llm.version import __version__

_double.on_import(__version__)

from tensorrt_llm.llmapi import LLM, SamplingParams  # noqa: E402

__all__ = ["LLM", "SamplingParams", "__version__"]
