"""Build TensorRT engines and check their version before loading. Needs a release up to 1.2."""

from __future__ import annotations

import shutil
import time
from collections import deque
from pathlib import Path
from typing import Any

from engines.backends.base import Report, context_window
from engines.backends.calibration_texts import calibration_texts
from engines.backends.tensorrt_llm import arguments, capability
from engines.backends.tensorrt_llm.build_log import BuildLogParser
from engines.backends.tensorrt_llm.calibration_data import write_data_set
from engines.backends.tensorrt_llm.checkpoint_view import CheckpointView
from engines.backends.tensorrt_llm.devices import free_memory, torch_device
from engines.backends.tensorrt_llm.failures import translate_errors
from engines.backends.tensorrt_llm.library import import_llmapi
from engines.backends.tensorrt_llm.model_folder import ENGINE, weight_bytes
from engines.backends.tensorrt_llm.quantise import read_model
from engines.backends.tensorrt_llm.reference import write_reference
from engines.backends.tensorrt_llm.tee_log import LINES, tee_log
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.checkpoint.json_file import read_json_object


def build(spec: EngineSpec, checkpoint: Path, directory: Path, report: Report) -> dict[str, object]:
    """Build an engine into the subfolder ENGINE of `directory`.

    Stages: `reference`, `import` and `build`.

    Returns:
        Facts for the manifest: bytes of the weights, and the duration in seconds.

    Raises:
        EngineError: The installed release cannot build engines, or the build failed.
    """
    _check_supported(spec)
    started = time.monotonic()
    texts = calibration_texts(spec.calibration)
    data = write_data_set(texts, directory / "calibration")
    workspace = directory / "workspace"
    workspace.mkdir()
    report.stage("reference")
    _write_reference(checkpoint, directory)
    report.stage("import")
    llmapi = import_llmapi(report)
    report.stage("build")
    context = context_window(spec, read_checkpoint(checkpoint).shape.max_positions)
    log: deque[str] = deque(maxlen=LINES)
    view = CheckpointView(checkpoint, "", trust_remote_code=spec.trust_remote_code)
    wanted = arguments.shared_arguments(spec, view.folder, context)
    wanted |= arguments.engine_arguments(context, llmapi)
    wanted |= arguments.build_arguments(spec, data, workspace, llmapi)
    try:
        with translate_errors("building the engine", log), tee_log(BuildLogParser(report), log):
            llm = engine_class()(**wanted)
            llm.save(str(directory / ENGINE))
            llm.shutdown()
    finally:
        view.close()
    for folder in (workspace, data):
        shutil.rmtree(folder, ignore_errors=True)
    seconds = round(time.monotonic() - started, 3)
    return {"weight_bytes": weight_bytes(directory / ENGINE), "seconds": seconds}


def _write_reference(checkpoint: Path, directory: Path) -> None:
    # The library loads the unquantised model in another process. It is loaded here as well, and released
    # before the build starts.
    write_reference(read_model(checkpoint, torch_device())[0], checkpoint, directory)
    free_memory()


def engine_class() -> Any:
    """Return the class that builds and loads TensorRT engines."""
    from tensorrt_llm._tensorrt_engine import LLM

    return LLM


def check_version(folder: Path) -> None:
    """Check that an engine was built by the installed release, before TensorRT spends time on loading it.

    Raises:
        EngineError: `other-version`.
    """
    built = str(read_json_object(folder / "config.json").get("version", ""))
    found = capability.installed()
    if found is not None and built != found.version:
        raise EngineError(
            "other-version",
            f"The engine was built by TensorRT-LLM {built or 'unknown'}, and {found.version} is installed.",
            "Delete it in the store (F8, or `trt-playground engines rm`), then prepare it again.",
        )


def _check_supported(spec: EngineSpec) -> None:
    found = capability.installed()
    if found is None or not found.builds_engines:
        version = found.version if found else "none"
        raise EngineError(
            "no-engine-class",
            f"{spec.precision} needs a TensorRT engine, which TensorRT-LLM {version} cannot build.",
            "Use a release up to 1.2, or choose fp8 or int4-awq.",
        )
    if spec.kv_precision == "fp8":  # it would be built into the engine, but is not part of the fingerprint
        raise EngineError(
            "unsupported-kv-precision",
            "TensorRT engines are built with the model's own KV precision; FP8 works with checkpoints only.",
            "Choose auto.",
        )
