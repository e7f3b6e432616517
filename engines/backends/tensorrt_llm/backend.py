"""The TensorRT-LLM backend: its LLM API, with what the installed release can do."""

from __future__ import annotations

import inspect
import os
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from engines.backends.base import Availability, Backend, Emit, Generated, Report, Scores, Stopped, context_of
from engines.backends.tensorrt_llm import arguments, capability, reference
from engines.backends.tensorrt_llm.build_lines import BuildLines
from engines.backends.tensorrt_llm.calibration import calibration_texts, write_data_set
from engines.backends.tensorrt_llm.deadline import deadline
from engines.backends.tensorrt_llm.failures import in_words
from engines.backends.tensorrt_llm.log_lines import followed
from engines.backends.tensorrt_llm.quantise import CONFIGURATIONS, quantise
from engines.backends.tensorrt_llm.sampling import sampling_fields
from engines.backends.tensorrt_llm.scores import scores_of
from engines.backends.tensorrt_llm.start_lines import STAGES, StartLines
from engines.backends.tensorrt_llm.statistics import Statistics
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.plan.checkpoint import Checkpoint, read_checkpoint
from engines.plan.kv_precision import KV_PRECISIONS, resolved_kv
from engines.plan.loadable import refuse_unloadable
from engines.plan.quantisation import modelopt_precision
from engines.worker.protocol import KVUsage, MemoryUsage, Sampling

IMPORT_SECONDS = 120.0
"""An import takes 20 to 40 s; one that waits for MPI never ends."""
START_SECONDS = 1800.0
SHUTDOWN_SECONDS = 4.0
"""Less than the app waits before it ends the whole process tree."""
REASONS = {"stop": "stop", "length": "length", "cancelled": "stopped", "timeout": "stopped"}
CHECKPOINT, ENGINE = "checkpoint", "engine"
"""Folders within an engine of the store."""


class TensorRTLLMBackend(Backend):
    """`tensorrt_llm.LLM`, or `tensorrt_llm._tensorrt_engine.LLM` where that exists and is wanted."""

    name = "tensorrt-llm"
    title = "TensorRT-LLM"
    prepare_stages = ("quantise", "export", "import", "build")
    load_stages = ("import", *STAGES)

    def __init__(self) -> None:
        self._llm: Any = None
        self._statistics: Statistics | None = None
        self._checkpoint: Checkpoint | None = None
        self._kv_precision = "f16"
        self._tokens = 0
        self._reused_before = 0
        self._weight_bytes: int | None = None

    @classmethod
    def probe(cls) -> Availability:
        """Look at the package's folder and metadata; nothing is imported."""
        found = capability.installed()
        if found is None:
            return Availability(
                False,
                {},
                "TensorRT-LLM is not installed in this environment.",
                "trt-playground env create tensorrt-llm",
            )
        return Availability(True, capability.versions(), devices=("cuda",))

    def prepare(
        self, spec: EngineSpec, checkpoint: Path, directory: Path, report: Report
    ) -> dict[str, object]:
        """Quantise to a checkpoint, or build a TensorRT engine; nothing for plain precisions.

        Raises:
            EngineError: the installed release, or the checkpoint, does not go with the precision.
        """
        _pin_gpus(spec)
        already = already_quantised(spec, checkpoint)
        if arguments.wants_engine(spec):
            return self._build_engine(spec, checkpoint, directory, report)
        if spec.precision in arguments.DTYPES or already:
            report.log(f"nothing to quantise: {already or spec.precision}")
            return {}
        texts = calibration_texts(spec.options.get("calibration", ""))
        target, device = directory / CHECKPOINT, _quantiser_device()
        return quantise(checkpoint, spec.precision, target, texts, report, device=device)

    def _build_engine(
        self, spec: EngineSpec, checkpoint: Path, directory: Path, report: Report
    ) -> dict[str, object]:
        _need_engine_class(spec)
        started = time.monotonic()
        texts = calibration_texts(spec.options.get("calibration", ""))
        data = write_data_set(texts, directory / "calibration")
        workspace = directory / "workspace"
        workspace.mkdir()
        report.stage("import")
        llmapi = self._import(report)
        report.stage("build")
        context = context_of(spec, read_checkpoint(checkpoint).max_positions)
        wanted = arguments.shared_arguments(spec, checkpoint, checkpoint, context)
        wanted |= arguments.engine_arguments(context, llmapi)
        wanted |= arguments.build_arguments(spec, data, workspace, llmapi)
        with _told("building the engine"), followed(BuildLines(report)):
            llm = _engine_class()(**wanted)
            llm.save(str(directory / ENGINE))
            llm.shutdown()
        for folder in (workspace, data):
            shutil.rmtree(folder, ignore_errors=True)
        seconds = round(time.monotonic() - started, 3)
        return {"weight_bytes": _engine_bytes(directory / ENGINE), "seconds": seconds}

    def load(self, spec: EngineSpec, checkpoint: Path, directory: Path | None, report: Report) -> None:
        """Import the library, then start the engine: weights, autotuner, CUDA graphs, each time anew.

        Raises:
            EngineError: in words, what the library said.
        """
        _pin_gpus(spec)
        model = _model_folder(spec, checkpoint, directory)
        self.close()
        report.stage("import")
        llmapi = self._import(report)
        lines = StartLines(report)
        lines.begin()
        self.context_tokens = context_of(spec, read_checkpoint(checkpoint).max_positions)
        wanted = arguments.shared_arguments(spec, model, checkpoint, self.context_tokens)
        if model.name == ENGINE:
            _check_engine(model)
            llm_class = _engine_class()
            wanted |= arguments.engine_arguments(self.context_tokens, llmapi)
        else:
            llm_class = llmapi.LLM
            wanted |= arguments.torch_arguments(spec, self.context_tokens, llmapi)
        slow = EngineError(
            "start-hung",
            f"TensorRT-LLM has not started within {START_SECONDS / 60:g} minutes.",
            "Its log ends where it waits. With MPI trouble, TLLM_WORKER_USE_SINGLE_PROCESS=1 may help.",
        )
        with _told("starting"), followed(lines), deadline(START_SECONDS, report, slow):
            self._llm = llm_class(**wanted)
        self._statistics = Statistics(self._llm)
        self._checkpoint = read_checkpoint(checkpoint)
        kv = resolved_kv(self.name, spec.precision, spec.kv_precision)
        self._kv_precision = kv if kv in KV_PRECISIONS else "f16"
        self._weight_bytes = _engine_bytes(model)

    def _import(self, report: Report) -> Any:
        # Before the import: the logger reads it once. All that is printed goes to the log, where the lines of
        # a build are looked for.
        os.environ.setdefault("TLLM_LOG_LEVEL", "info")
        hung = EngineError(
            "import-hung",
            f"Importing TensorRT-LLM has not ended within {IMPORT_SECONDS:g} s: MPI usually hangs like this.",
            "Check with `trt-playground env check`; conda's mpich does not go with it, libopenmpi does.",
        )
        with _told("being imported"), deadline(_seconds("IMPORT", IMPORT_SECONDS), report, hung):
            import tensorrt_llm.llmapi

            return tensorrt_llm.llmapi

    def generate(
        self,
        token_ids: Sequence[int],
        sampling: Sampling,
        eos_token_ids: frozenset[int],
        emit: Emit,
        stopped: Stopped,
    ) -> Generated:
        """Token ids in, `token_ids_diff` out. A plain loop: no event loop runs in this thread."""
        from tensorrt_llm import SamplingParams

        llm, statistics = self._loaded()
        self._tokens = len(token_ids)
        params = SamplingParams(**sampling_fields(sampling, eos_token_ids))
        aborted, output = False, None
        statistics.begin()
        try:
            with _told("answering"):
                # One object, changed at every step.
                for output in llm.generate_async(list(token_ids), sampling_params=params, streaming=True):
                    new = [] if aborted else output.outputs[0].token_ids_diff
                    if new:
                        self._tokens += len(new)
                        emit(list(new))
                    if not aborted and stopped() and not output.finished:
                        aborted = True
                        output.abort()
        finally:
            statistics.end()
        reason = output.outputs[0].finish_reason if output is not None else "length"
        cached = getattr(output, "cached_tokens", None)
        ended = "stopped" if aborted else REASONS.get(str(reason), "stopped")
        return Generated(ended, cached if type(cached) is int else None)

    def score(self, token_ids: Sequence[int], top_k: int = 0) -> Scores:
        """From the logits of the prompt, where the engine gives them for all of it."""
        from tensorrt_llm import SamplingParams

        llm, _ = self._loaded()
        params = SamplingParams(max_tokens=1, return_context_logits=True, detokenize=False)
        # Of tokens found in the cache there are no logits: a salt of its own finds none.
        takes_salt = "cache_salt" in inspect.signature(llm.generate_async).parameters
        salt = {"cache_salt": f"score-{time.monotonic_ns()}"} if takes_salt else {}
        try:
            result = llm.generate_async(list(token_ids), sampling_params=params, streaming=False, **salt)
            logits = result.result().context_logits
        except Exception as error:
            raise EngineError(
                "unsupported", f"TensorRT-LLM gives no log-probabilities here: {error}"
            ) from error
        if logits is None or len(logits) < len(token_ids):
            raise EngineError("unsupported", "TensorRT-LLM gave no logits for the whole of the prompt.")
        return scores_of(logits, token_ids, top_k)

    def check_engine(self, spec: EngineSpec, directory: Path, report: Report) -> None:
        """Against the plain model's scores, where ModelOpt had it in hand; an engine build keeps none."""
        reference.check(self.score, self.context_tokens, spec.precision, directory, report)

    def _loaded(self) -> tuple[Any, Statistics]:
        if self._llm is None or self._statistics is None:
            raise EngineError("not-loaded", "No TensorRT-LLM engine is loaded.", "Load one first.")
        return self._llm, self._statistics

    def kv_usage(self) -> KVUsage | None:
        """The blocks of `kvCacheStats`; counted from the tokens where the library has stopped telling."""
        if self._statistics is None or self._checkpoint is None:
            return None
        told = self._statistics.fullest
        block = told["tokensPerBlock"] if told else arguments.BLOCK_TOKENS
        total = told["maxNumBlocks"] if told else arguments.pool_tokens(self.context_tokens) // block
        used = min(total, max(told["usedNumBlocks"] if told else 0, -(-self._tokens // block)))
        stored = KV_PRECISIONS[self._kv_precision]
        size = round(self._checkpoint.kv_bytes_per_token(stored.element_bytes, stored.head_overhead) * block)
        return KVUsage(
            self._tokens,
            total * block,
            used * size,
            total * size,
            block,
            used,
            total - used,
            total,
            told.get("reusedBlocks") if told else None,
        )

    def memory_usage(self) -> MemoryUsage | None:
        """Weights as they lie on the disk, and the pool; the library's own figure is of the whole GPU."""
        usage = self.kv_usage()
        return MemoryUsage(weights=self._weight_bytes, kv=usage.bytes_total) if usage else None

    def close(self) -> None:
        """Shut down, for at most SHUTDOWN_SECONDS: what is left is ended with the process tree."""
        if self._statistics is not None:
            self._statistics.close()
        llm, self._llm, self._statistics = self._llm, None, None
        if llm is not None:
            ending = threading.Thread(target=llm.shutdown, daemon=True, name="shutdown")
            ending.start()
            ending.join(SHUTDOWN_SECONDS)
            if ending.is_alive():
                print("tensorrt_llm did not shut down in time")


@contextmanager
def _told(doing: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise in_words(error, doing) from error


def already_quantised(spec: EngineSpec, checkpoint: Path) -> str:
    """The checkpoint's own quantisation, where it is the precision that is wanted; empty for plain weights.

    Raises:
        EngineError: it is quantised otherwise.
    """
    refuse_unloadable("tensorrt-llm", checkpoint)
    found = read_checkpoint(checkpoint).quantisation
    if found is None:
        return ""
    precision = modelopt_precision(found)
    if precision == spec.precision and not arguments.wants_engine(spec):
        return found.name
    raise EngineError(
        "already-quantised",
        f"This checkpoint is quantised to {found.name} already.",
        f"Choose {precision}, or the plain checkpoint.",
    )


def _model_folder(spec: EngineSpec, checkpoint: Path, directory: Path | None) -> Path:
    """What is loaded: an engine, the quantised checkpoint, or the plain one."""
    for name in (ENGINE, CHECKPOINT):
        if directory is not None and (directory / name).is_dir():
            return directory / name
    if spec.precision in CONFIGURATIONS and not already_quantised(spec, checkpoint):
        raise EngineError("not-built", f"{spec.precision} has not been prepared.", "Prepare it.")
    return checkpoint


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


def _engine_class() -> Any:
    from tensorrt_llm._tensorrt_engine import LLM

    return LLM


def _check_engine(folder: Path) -> None:
    """Refuse early what TensorRT would refuse late."""
    from engines.plan.json_file import read_json_object

    built = str(read_json_object(folder / "config.json").get("version", ""))
    found = capability.installed()
    if found is not None and built != found.version:
        raise EngineError(
            "other-version",
            f"The engine was built by TensorRT-LLM {built or 'unknown'}, and {found.version} is installed.",
            "Delete it with `trt-playground engines rm`, then prepare it again.",
        )


def _pin_gpus(spec: EngineSpec) -> None:
    if not spec.device.startswith("cuda"):
        raise EngineError(
            "unsupported-device",
            "TensorRT-LLM runs on NVIDIA GPUs only.",
            "Choose OpenVINO on this machine.",
        )
    _show_gpus(int(spec.device.partition(":")[2] or 0), arguments.gpu_count(spec))


@cache
def _show_gpus(first: int, count: int) -> None:
    """Show the library its own GPUs only, once, before the first import of torch."""
    setting = os.environ.get("CUDA_VISIBLE_DEVICES")
    visible = setting.split(",") if setting else [str(index) for index in range(first + count)]
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(visible[first : first + count])


def _quantiser_device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _seconds(name: str, default: float) -> float:
    """A limit that a slow disk may need longer, by TRT_PLAYGROUND_IMPORT_SECONDS."""
    return float(os.environ.get(f"TRT_PLAYGROUND_{name}_SECONDS", default))


def _engine_bytes(folder: Path) -> int:
    files = [*folder.glob("*.safetensors"), *folder.glob("*.engine")]
    return sum(file.stat().st_size for file in files)
