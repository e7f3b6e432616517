"""Import TensorRT-LLM with a time limit: the import initialises MPI, prints, and may never return."""

from __future__ import annotations

import os
from typing import Any

from engines.backends.base import Report
from engines.backends.tensorrt_llm.deadline import deadline
from engines.backends.tensorrt_llm.failures import translate_errors
from engines.environments.recipe import RECIPES
from engines.errors import EngineError

IDLE_SECONDS = 120.0
"""How long an import may neither compute nor read. It takes 20 to 40 s; one that hangs in MPI never ends."""
IMPORT_SECONDS = 1200.0
"""How long it may take where it computes all the time."""
LIMIT_VARIABLE = "TRT_PLAYGROUND_IMPORT_SECONDS"
"""Environment variable that overrides IDLE_SECONDS."""


def import_llmapi(report: Report) -> Any:
    """Import and return `tensorrt_llm.llmapi`.

    Raises:
        EngineError: The import failed; the message says why.
    """
    # Set before the import, because the logger reads it once. The stages of a build are parsed from the log.
    os.environ.setdefault("TLLM_LOG_LEVEL", "info")
    # Newer releases send usage statistics by default.
    os.environ.setdefault(RECIPES["tensorrt-llm"].no_telemetry, "1")
    idle = float(os.environ.get(LIMIT_VARIABLE, IDLE_SECONDS))
    hung = EngineError(
        "import-hung",
        f"Importing TensorRT-LLM has done nothing for {idle:g} s. The usual cause is MPI.",
        "Run `trt-playground env check`. TensorRT-LLM needs libopenmpi; conda's mpich does not work with it.",
    )
    with translate_errors("being imported"), deadline(IMPORT_SECONDS, report, hung, idle):
        import tensorrt_llm.llmapi

        return tensorrt_llm.llmapi
