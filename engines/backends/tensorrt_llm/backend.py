"""The TensorRT-LLM backend: its LLM API, with what the installed release can do."""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engines.backends.base import Availability, Backend, Emit, Generated, Report, Scores, Stopped, context_of
from engines.backends.tensorrt_llm import arguments, capability, engine, reference
from engines.backends.tensorrt_llm.calibration_data import calibration_texts
from engines.backends.tensorrt_llm.deadline import deadline
from engines.backends.tensorrt_llm.devices import free_memory, pin_gpus, torch_device
from engines.backends.tensorrt_llm.failures import translate_errors
from engines.backends.tensorrt_llm.library import imported
from engines.backends.tensorrt_llm.log_lines import tee_log
from engines.backends.tensorrt_llm.model_folder import (
    CHECKPOINT,
    ENGINE,
    already_quantised,
    model_folder,
    weight_bytes,
)
from engines.backends.tensorrt_llm.quantise import quantise
from engines.backends.tensorrt_llm.sampling_params import sampling_fields
from engines.backends.tensorrt_llm.scores import scores_of
from engines.backends.tensorrt_llm.start_lines import STAGES, StartLines
from engines.backends.tensorrt_llm.statistics import Statistics
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import Checkpoint, read_checkpoint
from engines.plan.kv_precision import KV_PRECISIONS, resolved_kv
from engines.worker.protocol import KVUsage, MemoryUsage, Sampling

START_SECONDS = 1800.0
SHUTDOWN_SECONDS = 4.0
"""Less than the app waits before it ends the whole process tree."""
REASONS = {"stop": "stop", "length": "length", "cancelled": "stopped", "timeout": "stopped"}


class TensorRTLLMBackend(Backend):
    """`tensorrt_llm.LLM`, or `tensorrt_llm._tensorrt_engine.LLM` where that exists and is wanted."""

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
        """Import the library, then start the engine: weights, autotuner, CUDA graphs, each time anew.

        Raises:
            EngineError: in words, what the library said.
        """
        pin_gpus(spec)
        model = model_folder(spec, checkpoint, directory)
        self.close()
        report.stage("import")
        llmapi = imported(report)
        lines = StartLines(report)
        lines.begin()
        self.context_tokens = context_of(spec, read_checkpoint(checkpoint).shape.max_positions)
        wanted = arguments.shared_arguments(spec, model, checkpoint, self.context_tokens)
        if model.name == ENGINE:
            engine.check_version(model)
            llm_class = engine.engine_class()
            wanted |= arguments.engine_arguments(self.context_tokens, llmapi)
        else:
            llm_class = llmapi.LLM
            wanted |= arguments.torch_arguments(spec, self.context_tokens, llmapi)
        slow = EngineError(
            "start-hung",
            f"TensorRT-LLM has not started within {START_SECONDS / 60:g} minutes.",
            "Its log ends where it waits. With MPI trouble, TLLM_WORKER_USE_SINGLE_PROCESS=1 may help.",
        )
        with translate_errors("starting"), tee_log(lines), deadline(START_SECONDS, report, slow):
            self._llm = llm_class(**wanted)
        self._statistics = Statistics(self._llm)
        self._checkpoint = read_checkpoint(checkpoint)
        kv = resolved_kv(self.name, spec.precision, spec.kv_precision)
        self._kv_precision = kv if kv in KV_PRECISIONS else "f16"
        self._weight_bytes = weight_bytes(model)

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
            with translate_errors("answering"):
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
        """Against what the plain model said before it was quantised."""
        asked = reference.Asked(self.score, self._following, self.context_tokens)
        reference.check(asked, spec.precision, directory, report)

    def _following(self, token_ids: Sequence[int]) -> int:
        """The token that is likeliest after these."""
        found: list[int] = []
        self.generate(token_ids, Sampling(1, ignore_eos=True), frozenset(), found.extend, lambda: False)
        return found[0]

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
