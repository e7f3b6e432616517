"""A TensorRT engine: built, saved and looked at before it is loaded. Releases up to 1.2 have the class."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from engines.backends.base import Report, context_of
from engines.backends.tensorrt_llm import arguments, capability
from engines.backends.tensorrt_llm.build_lines import BuildLines
from engines.backends.tensorrt_llm.calibration_data import calibration_texts, write_data_set
from engines.backends.tensorrt_llm.devices import free_memory, torch_device
from engines.backends.tensorrt_llm.failures import translate_errors
from engines.backends.tensorrt_llm.library import imported
from engines.backends.tensorrt_llm.log_lines import tee_log
from engines.backends.tensorrt_llm.model_folder import ENGINE, weight_bytes
from engines.backends.tensorrt_llm.quantise import read
from engines.backends.tensorrt_llm.reference import keep
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.checkpoint.json_file import read_json_object


def build(spec: EngineSpec, checkpoint: Path, directory: Path, report: Report) -> dict[str, object]:
    """Build an engine into the folder ENGINE of `directory`.

    Stages: `reference`, `import` and `build`.

    Returns:
        Facts for the manifest.

    Raises:
        EngineError: the installed release builds none, or the build failed.
    """
    _need_engine_class(spec)
    started = time.monotonic()
    texts = calibration_texts(spec.calibration)
    data = write_data_set(texts, directory / "calibration")
    workspace = directory / "workspace"
    workspace.mkdir()
    report.stage("reference")
    _keep_reference(checkpoint, directory)
    report.stage("import")
    llmapi = imported(report)
    report.stage("build")
    context = context_of(spec, read_checkpoint(checkpoint).shape.max_positions)
    wanted = arguments.shared_arguments(spec, checkpoint, checkpoint, context)
    wanted |= arguments.engine_arguments(context, llmapi)
    wanted |= arguments.build_arguments(spec, data, workspace, llmapi)
    with translate_errors("building the engine"), tee_log(BuildLines(report)):
        llm = engine_class()(**wanted)
        llm.save(str(directory / ENGINE))
        llm.shutdown()
    for folder in (workspace, data):
        shutil.rmtree(folder, ignore_errors=True)
    seconds = round(time.monotonic() - started, 3)
    return {"weight_bytes": weight_bytes(directory / ENGINE), "seconds": seconds}


def _keep_reference(checkpoint: Path, directory: Path) -> None:
    # The library reads the plain model in a process of its own: it is read here once more, and is gone
    # before that.
    keep(read(checkpoint, torch_device())[0], checkpoint, directory)
    free_memory()


def engine_class() -> Any:
    """The class that builds and loads them."""
    from tensorrt_llm._tensorrt_engine import LLM

    return LLM


def check_version(folder: Path) -> None:
    """Refuse early what TensorRT would refuse late.

    Raises:
        EngineError: another release has built it.
    """
    built = str(read_json_object(folder / "config.json").get("version", ""))
    found = capability.installed()
    if found is not None and built != found.version:
        raise EngineError(
            "other-version",
            f"The engine was built by TensorRT-LLM {built or 'unknown'}, and {found.version} is installed.",
            "Delete it in the store (F8, or `trt-playground engines rm`), then prepare it again.",
        )


def _need_engine_class(spec: EngineSpec) -> None:
    found = capability.installed()
    if found is None or not found.builds_engines:
        version = found.version if found else "none"
        raise EngineError(
            "no-engine-class",
            f"{spec.precision} needs a TensorRT engine, and TensorRT-LLM {version} builds none.",
            "Releases up to 1.2 do; with this one choose fp8 or int4-awq.",
        )
    if spec.kv_precision == "fp8":  # part of the engine's files, and not of their fingerprint
        raise EngineError(
            "unsupported-kv-precision",
            "An FP8 KV cache is chosen when a checkpoint is loaded; engines keep the model's own type here.",
            "Pick auto.",
        )
