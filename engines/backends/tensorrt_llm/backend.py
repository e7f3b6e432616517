"""The TensorRT-LLM backend: its LLM API, with the features of the installed release."""

from __future__ import annotations

import inspect
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.backends.base import (
    Availability,
    Backend,
    Emit,
    Generated,
    Report,
    Scores,
    Stopped,
    context_window,
)
from engines.backends.calibration_texts import calibration_texts
from engines.backends.scores import ROWS, scores_from_logits
from engines.backends.stream_batch import StreamBatch
from engines.backends.tensorrt_llm import arguments, capability, engine, reference
from engines.backends.tensorrt_llm.batch import REASONS, open_streams
from engines.backends.tensorrt_llm.checkpoint_view import CheckpointView, check_dtype
from engines.backends.tensorrt_llm.deadline import deadline
from engines.backends.tensorrt_llm.devices import available_memory, free_memory, pin_gpus, torch_device
from engines.backends.tensorrt_llm.failures import translate_errors
from engines.backends.tensorrt_llm.kv_usage import kv_usage
from engines.backends.tensorrt_llm.library import import_llmapi
from engines.backends.tensorrt_llm.model_folder import (
    CHECKPOINT,
    ENGINE,
    already_quantised,
    model_folder,
    weight_bytes,
)
from engines.backends.tensorrt_llm.quantise import quantise
from engines.backends.tensorrt_llm.sampling_params import sampling_fields
from engines.backends.tensorrt_llm.start_log import STAGES, StartLogParser
from engines.backends.tensorrt_llm.statistics import Statistics
from engines.backends.tensorrt_llm.tee_log import LINES, tee_log
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import Checkpoint, read_checkpoint
from engines.plan.kv_precision import KV_PRECISIONS, resolved_kv
from engines.worker.protocol import KVUsage, MemoryUsage, Sampling

if TYPE_CHECKING:
    from engines.worker.logprob_rows import RowReader, RowWriter

START_SECONDS = 1800.0
SHUTDOWN_SECONDS = 4.0
"""Less than the app waits before it kills the process tree."""


class TensorRTLLMBackend(Backend):
    """Runs `tensorrt_llm.LLM`, or `tensorrt_llm._tensorrt_engine.LLM` for TensorRT engines."""

    name = "tensorrt-llm"
    title = "TensorRT-LLM"
    prepare_stages = ("reference", "quantise", "export", "import", "build")
    load_stages = ("import", *STAGES)

    def __init__(self) -> None:
        self._llm: Any = None
        self._statistics: Statistics | None = None
        self._checkpoint: Checkpoint | None = None
        self._kv_precision = "f16"
        self._tokens = 0
        self._weight_bytes: int | None = None
        self._view: CheckpointView | None = None
        self._opened: tuple[EngineSpec, Path, Path | None] | None = None
        """What was loaded: spec, checkpoint, and the engine's folder."""
        self._cached: int | None = None
        """Tokens of the last prompt that were in the KV cache; None if the library does not report it."""

    @classmethod
    def probe(cls) -> Availability:
        """See `Backend.probe`. Reads the package's folder and metadata."""
        if capability.installed() is None:
            return Availability(
                available=False,
                reason="TensorRT-LLM is not installed in this environment.",
                hint="trt-playground env create tensorrt-llm",
            )
        return Availability(available=True, versions=capability.versions(), devices=("cuda",))

    def prepare(
        self, spec: EngineSpec, checkpoint: Path, directory: Path, report: Report
    ) -> dict[str, object]:
        """Quantise to a checkpoint, or build a TensorRT engine; do nothing for unquantised precisions.

        Raises:
            EngineError: The installed release or the checkpoint does not support the precision.
        """
        pin_gpus(spec)
        already = already_quantised(spec, checkpoint)
        if arguments.wants_engine(spec):
            return engine.build(spec, checkpoint, directory, report)
        if spec.precision in arguments.DTYPES or already:
            report.log(f"nothing to quantise: {already or spec.precision}")
            return {}
        texts = calibration_texts(spec.calibration)
        target, device = directory / CHECKPOINT, torch_device()
        facts = quantise(checkpoint, spec.precision, target, texts, report, device=device)
        free_memory()
        return facts

    def load(self, spec: EngineSpec, checkpoint: Path, directory: Path | None, report: Report) -> None:
        """Import the library and start the engine; the autotuner and CUDA graphs run at every load.

        Raises:
            EngineError: The start failed; errors of the library are translated by `failures`.
        """
        self._start(spec, checkpoint, directory, report)
        self._opened = spec, checkpoint, directory

    def _start(
        self,
        spec: EngineSpec,
        checkpoint: Path,
        directory: Path | None,
        report: Report,
        requests: int = 1,
        kv_tokens: int | None = None,
    ) -> None:
        """Start the engine for a batch of `requests`."""
        free = available_memory(spec)
        pin_gpus(spec)
        model = model_folder(spec, checkpoint, directory)
        self.close()
        report.stage("import")
        llmapi = import_llmapi(report)
        found = read_checkpoint(checkpoint, trust_remote_code=spec.trust_remote_code)
        self.context_tokens = context_window(spec, found.shape.max_positions)
        self._weight_bytes = weight_bytes(model)
        is_engine = model.name == ENGINE
        dtype = arguments.DTYPES.get(spec.precision, "")
        folder = checkpoint if is_engine else model
        self._view = view = CheckpointView(folder, dtype, trust_remote_code=spec.trust_remote_code)
        options = arguments.shared_arguments(spec, view.folder, self.context_tokens, requests)
        # A TensorRT engine has the sampler of the C++ runtime, which reads all of them.
        self.ignored_sampling = () if is_engine else capability.ignored_sampling()
        if is_engine:
            engine.check_version(model)
            llm_class = engine.engine_class()
            options |= arguments.engine_arguments(self.context_tokens, llmapi) | {"model": str(model)}
        else:
            llm_class = llmapi.LLM
            fraction = self._pool_fraction(found, free)
            options |= arguments.torch_arguments(
                spec, self.context_tokens, llmapi, fraction, requests, kv_tokens
            )
        try:
            self._llm = self._started(llm_class, options, report)
        except Exception:
            self.close()  # deletes the view
            raise
        self._statistics = Statistics(self._llm)
        self._checkpoint = found
        if not is_engine:
            check_dtype(self._llm, view.folder, dtype, report)
        kv = resolved_kv(self.name, spec.precision, spec.kv_precision, found.quantisation)
        self._kv_precision = kv if kv in KV_PRECISIONS else "f16"

    def _pool_fraction(self, found: Checkpoint, free: int | None) -> float | None:
        """Return the fraction of a model whose pool its tokens may not bound; None for the others."""
        if found.shape.sliding_window is None:
            return None
        kv_bytes = found.kv_bytes_per_token(2) * arguments.pool_tokens(self.context_tokens)
        return arguments.pool_fraction(round(kv_bytes), self._weight_bytes or 0, free)

    def _started(self, llm_class: Any, options: dict[str, Any], report: Report) -> Any:
        """Return the started `LLM`."""
        log_parser = StartLogParser(report)
        log_parser.begin()
        hung = EngineError(
            "start-hung",
            f"TensorRT-LLM did not start within {START_SECONDS / 60:g} minutes.",
            "The last lines of its log show where it hangs. If it is MPI, try "
            "TLLM_WORKER_USE_SINGLE_PROCESS=1.",
        )
        log: deque[str] = deque(maxlen=LINES)
        with (
            translate_errors("starting", log),
            tee_log(log_parser, log),
            deadline(START_SECONDS, report, hung),
        ):
            return llm_class(**options)

    def generate(
        self,
        token_ids: Sequence[int],
        sampling: Sampling,
        eos_token_ids: frozenset[int],
        emit: Emit,
        stopped: Stopped,
    ) -> Generated:
        """See `Backend.generate`. Iterates synchronously: no event loop runs in this thread."""
        from tensorrt_llm import SamplingParams

        llm, statistics = self._loaded()
        self._tokens = len(token_ids)
        params = SamplingParams(**sampling_fields(sampling, eos_token_ids))
        aborted, output = False, None
        statistics.begin()
        try:
            with translate_errors("answering"):
                # The same object is yielded, updated at every step.
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
        self._cached = cached if type(cached) is int else None
        finish_reason = "stopped" if aborted else REASONS.get(str(reason), "stopped")
        return Generated(finish_reason, self._cached)

    def score(
        self,
        token_ids: Sequence[int],
        top_k: int = 0,
        reference: RowReader | None = None,
        keep: RowWriter | None = None,
    ) -> Scores:
        """See `Backend.score`. Uses context logits; TensorRT engines return them only if built for it."""
        from tensorrt_llm import SamplingParams

        llm, _ = self._loaded()
        params = SamplingParams(max_tokens=1, return_context_logits=True, detokenize=False)
        # Cached tokens have no logits; a unique salt prevents cache hits.
        takes_salt = "cache_salt" in inspect.signature(llm.generate_async).parameters
        salt = {"cache_salt": f"score-{time.monotonic_ns()}"} if takes_salt else {}
        try:
            result = llm.generate_async(list(token_ids), sampling_params=params, streaming=False, **salt)
            logits = result.result().context_logits
        except Exception as error:
            raise EngineError("unsupported", f"TensorRT-LLM returns no log-probabilities: {error}") from error
        if logits is None or len(logits) < len(token_ids):
            raise EngineError("unsupported", "TensorRT-LLM did not return logits for the complete prompt.")
        # On the CPU, in parts, so that no memory of the engine's GPU is needed.
        parts = (rows.float().cpu() for rows in logits[: len(token_ids) - 1].split(ROWS))
        return scores_from_logits(parts, token_ids, top_k, reference, keep)

    def check_engine(self, spec: EngineSpec, directory: Path, report: Report) -> None:
        """Compare with the scores of the unquantised model; see `Backend.check_engine`."""
        candidate = reference.Candidate(self.score, self._greedy_token, self.context_tokens)
        reference.check(candidate, spec.precision, directory, report)

    def _greedy_token(self, token_ids: Sequence[int]) -> int:
        """Return the most likely token after `token_ids`."""
        generated: list[int] = []
        sampling = Sampling(max_tokens=1, ignore_eos=True)
        self.generate(token_ids, sampling, frozenset(), generated.extend, lambda: False)
        return generated[0]

    def open_batch(self, users: int, kv_tokens: int, report: Report) -> StreamBatch:
        """See `Backend.open_batch`. Starts the engine again, with graphs for the batch."""
        if self._opened is None or self._checkpoint is None:
            raise EngineError("not-loaded", "No TensorRT-LLM engine is loaded.", "Load one first.")
        spec, checkpoint, directory = self._opened
        if model_folder(spec, checkpoint, directory).name == ENGINE:
            raise EngineError("unsupported", "A TensorRT engine is built for one request at a time.")
        token_bytes = self._token_bytes(self._checkpoint)

        def reopen() -> None:
            self._start(spec, checkpoint, directory, report)

        try:
            self._start(spec, checkpoint, directory, report, users, kv_tokens)
        except EngineError:
            reopen()
            raise
        llm, statistics = self._loaded()
        return open_streams(
            llm, statistics, lambda: kv_usage(statistics.latest, kv_tokens, token_bytes), reopen
        )

    def _loaded(self) -> tuple[Any, Statistics]:
        if self._llm is None or self._statistics is None:
            raise EngineError("not-loaded", "No TensorRT-LLM engine is loaded.", "Load one first.")
        return self._llm, self._statistics

    def kv_usage(self) -> KVUsage | None:
        """Return the blocks of `kvCacheStats`, or computed ones if there are no statistics."""
        if self._statistics is None or self._checkpoint is None:
            return None
        pool = arguments.pool_tokens(self.context_tokens)
        stats = self._statistics.fullest
        return kv_usage(stats, pool, self._token_bytes(self._checkpoint), self._tokens, self._cached)

    def _token_bytes(self, checkpoint: Checkpoint) -> float:
        kv = KV_PRECISIONS[self._kv_precision]
        return checkpoint.kv_bytes_per_token(kv.element_bytes, kv.head_overhead)

    def memory_usage(self) -> MemoryUsage | None:
        """Return the size of the weight files and KV pool; the library reports only the whole GPU."""
        usage = self.kv_usage()
        return MemoryUsage(weights=self._weight_bytes, kv=usage.bytes_total) if usage else None

    def close(self) -> None:
        """Shut down the library, for at most SHUTDOWN_SECONDS; the app then kills what is left."""
        if self._statistics is not None:
            self._statistics.close()
        llm, self._llm, self._statistics = self._llm, None, None
        view, self._view = self._view, None
        if view is not None:
            view.close()
        if llm is not None:
            ending = threading.Thread(target=llm.shutdown, daemon=True, name="shutdown")
            ending.start()
            ending.join(SHUTDOWN_SECONDS)
            if ending.is_alive():
                print("tensorrt_llm did not shut down in time")
