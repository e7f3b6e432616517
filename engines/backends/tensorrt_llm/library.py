"""Importing TensorRT-LLM, which initialises MPI, prints, and may never come back."""

from __future__ import annotations

import os
from typing import Any

from engines.backends.base import Report
from engines.backends.tensorrt_llm.deadline import deadline
from engines.backends.tensorrt_llm.failures import translate_errors
from engines.errors import EngineError

IMPORT_SECONDS = 120.0
"""An import takes 20 to 40 s; one that waits for MPI never ends."""
LIMIT = "TRT_PLAYGROUND_IMPORT_SECONDS"
"""A slow disk may need longer."""


def imported(report: Report) -> Any:
    """`tensorrt_llm.llmapi`.

    Raises:
        EngineError: in words, why it cannot be imported.
    """
    # Before the import: the logger reads it once. All that is printed goes to the log, where the lines of
    # a build are looked for.
    os.environ.setdefault("TLLM_LOG_LEVEL", "info")
    seconds = float(os.environ.get(LIMIT, IMPORT_SECONDS))
    hung = EngineError(
        "import-hung",
        f"Importing TensorRT-LLM has not ended within {seconds:g} s: MPI usually hangs like this.",
        "Check with `trt-playground env check`; conda's mpich does not go with it, libopenmpi does.",
    )
    with translate_errors("being imported"), deadline(seconds, report, hung):
        import tensorrt_llm.llmapi

        return tensorrt_llm.llmapi
