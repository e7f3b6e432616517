"""The OpenVINO backend: continuous batching with a paged KV cache, on the CPU."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import psutil

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
from engines.backends.openvino import building
from engines.backends.probe import probe_packages
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.plan.decoder.converted import ConvertedDecoder
from engines.plan.kv_precision import kv_choices, resolved_kv
from engines.worker.protocol import KVUsage, MemoryUsage, Sampling

if TYPE_CHECKING:
    from engines.backends.openvino.batch import OpenVINOBatch
    from engines.backends.openvino.pipeline import Pipeline
    from engines.backends.openvino.scorer import Scorer
    from engines.worker.logprob_rows import RowReader, RowWriter

PRECISIONS = ("fp32", "bf16", "int8", "int4", "int4-awq")
PACKAGES = ("openvino", "openvino-genai")
SPARE_BYTES = 4 << 30
"""The graph for scoring is closed before an answer if less memory than this is available."""


BATCH_SHARE = 0.5
"""Largest part of the available memory that the KV cache of a load test takes."""


class OpenVINOBackend(Backend):
    """OpenVINO GenAI's ContinuousBatchingPipeline with a graph built by this project."""

    name: ClassVar[str] = "openvino"
    title: ClassVar[str] = "OpenVINO"
    prepare_stages: ClassVar[tuple[str, ...]] = ("calibrate", "convert", "save")
    load_stages: ClassVar[tuple[str, ...]] = ("load",)

    def __init__(self) -> None:
        self._spec: EngineSpec | None = None
        self._pipeline: Pipeline | None = None
        self._scorer: Scorer | None = None
        """Closed before the next answer if memory is short; see `score`."""

    @classmethod
    def probe(cls) -> Availability:
        """See `Backend.probe`. Needs both PACKAGES."""
        return probe_packages(PACKAGES, ("cpu",))

    def prepare(
        self, spec: EngineSpec, checkpoint: Path, directory: Path, report: Report
    ) -> dict[str, object]:
        """See `Backend.prepare`. The facts: weight_bytes, precision, seconds, version of OpenVINO."""
        _check(spec)
        started = time.monotonic()
        decoder = building.described(checkpoint)
        model, shared = building.model_of(spec, checkpoint, decoder, directory, report)
        from engines.backends.openvino import saving

        report.stage("save")
        weight_bytes = saving.save(model, directory)
        del model, shared
        return {
            "weight_bytes": weight_bytes,
            "precision": spec.precision,
            "seconds": round(time.monotonic() - started, 3),
            "openvino": metadata.version("openvino"),
        }

    def load(self, spec: EngineSpec, checkpoint: Path, directory: Path | None, report: Report) -> None:
        """See `Backend.load`.

        Raises:
            EngineError: `load-failed`, `not-built`, or an unsupported option.
        """
        _check(spec)
        decoder = building.described(checkpoint)
        report.stage("load")
        if directory is None:
            raise EngineError("not-built", "The OpenVINO engine has not been prepared.", "Prepare it.")
        self.close()
        self.context_tokens = context_window(spec, decoder.max_positions, report.log)
        from engines.backends.openvino.pipeline import Pipeline, PipelineSettings

        kv_precision = resolved_kv(self.name, spec.precision, spec.kv_precision)
        hint = "bf16" if spec.precision == "bf16" else "f32"
        settings = PipelineSettings(
            directory=directory,
            hint=hint,
            kv_precision=kv_precision,
            context=self.context_tokens,
            vocabulary=decoder.vocabulary,
            log=report.log,
            keeps_state=isinstance(decoder, ConvertedDecoder) and decoder.keeps_state,
        )
        self._pipeline = Pipeline(settings)

    def generate(
        self,
        token_ids: Sequence[int],
        sampling: Sampling,
        eos_token_ids: frozenset[int],
        emit: Emit,
        stopped: Stopped,
    ) -> Generated:
        """See `Backend.generate`. Emits one token per step.

        Raises:
            EngineError: `context-full`, `bad-sampling`, `bad-tokens` or `engine-failed`.
        """
        if self._scorer and psutil.virtual_memory().available < SPARE_BYTES:
            self._close_scorer()
        return self.pipeline.generate(token_ids, sampling, eos_token_ids, emit, stopped)

    def score(
        self,
        token_ids: Sequence[int],
        top_k: int = 0,
        reference: RowReader | None = None,
        keep: RowWriter | None = None,
    ) -> Scores:
        """See `Backend.score`.

        The pipeline for answers returns the probability of the chosen token only. So the same graph is
        compiled once more, and the engine needs twice the memory. It is kept: opening it again takes as long
        as loading the engine.
        """
        return self._opened_scorer().score(token_ids, top_k, reference, keep)

    def _opened_scorer(self) -> Scorer:
        settings = self.pipeline.settings
        if self._scorer is None:
            from engines.backends.openvino.scorer import Scorer

            self._scorer = Scorer(settings)
        return self._scorer

    def check_engine(self, spec: EngineSpec, directory: Path, report: Report) -> None:
        """Compare a converted engine with transformers; see `Backend.check_engine`."""
        from engines.backends.openvino import reference

        if (directory / reference.FILE).is_file():
            vocabulary = self.pipeline.settings.vocabulary
            scorer = self._opened_scorer()
            reference.check_reference(scorer, vocabulary, spec.precision, directory, report)

    def open_batch(self, users: int, kv_tokens: int, report: Report) -> OpenVINOBatch:
        """See `Backend.open_batch`. A cache that memory does not allow is made smaller: users then wait."""
        from engines.backends.openvino.batch import OpenVINOBatch
        from engines.backends.openvino.pipeline import Pipeline

        usage, settings = self.pipeline.kv_usage(), self.pipeline.settings
        if settings.keeps_state:
            raise EngineError(
                "unsupported",
                "This model keeps a state beside keys and values, of which the engine holds one request's.",
                "Choose another model for a load test.",
            )
        token_bytes = (usage.bytes_total or 0) / (usage.capacity_tokens or 1)
        self.close()
        allowed = int(psutil.virtual_memory().available * BATCH_SHARE / max(1.0, token_bytes))
        if allowed < kv_tokens:
            report.log(f"The KV cache holds {allowed:,} tokens, as memory allows, instead of {kv_tokens:,}.")

        def reopen() -> None:
            self._pipeline = Pipeline(settings)

        try:
            return OpenVINOBatch(settings, min(kv_tokens, allowed), reopen)
        except Exception:
            reopen()
            raise

    @property
    def pipeline(self) -> Pipeline:
        """The loaded pipeline.

        Raises:
            EngineError: `not-loaded`.
        """
        if self._pipeline is None:
            raise EngineError("not-loaded", "No OpenVINO engine is loaded.", "Load one first.")
        return self._pipeline

    def moved(self, directory: Path) -> None:
        """See `Backend.moved`. The graph for scoring, which the smoke test opened, is closed."""
        self._close_scorer()
        self.pipeline.settings = replace(self.pipeline.settings, directory=directory)

    def kv_usage(self) -> KVUsage | None:
        """See `Pipeline.kv_usage`."""
        return self._pipeline.kv_usage() if self._pipeline else None

    def memory_usage(self) -> MemoryUsage | None:
        """Return the size of the weight file, which is memory-mapped, and of the KV pool."""
        if self._pipeline is None:
            return None
        return MemoryUsage(weights=self._pipeline.weight_bytes, kv=self._pipeline.kv_usage().bytes_total)

    def close(self) -> None:
        """Close the pipelines; OpenVINO then frees their memory."""
        self._close_scorer()
        if self._pipeline is not None:
            self._pipeline.close()
        self._pipeline = None

    def _close_scorer(self) -> None:
        self._scorer = None


def _check(spec: EngineSpec) -> None:
    if spec.device != "cpu":
        raise EngineError(
            "unsupported-device",
            f"The OpenVINO backend runs on the CPU, not on {spec.device}.",
            "Choose the device cpu.",
        )
    if spec.precision not in PRECISIONS:
        raise EngineError(
            "unsupported-precision",
            f"OpenVINO does not support {spec.precision} on the CPU.",
            f"Choose one of {', '.join(PRECISIONS)}.",
        )
    allowed = kv_choices("openvino", spec.precision)
    if spec.kv_precision != "auto" and spec.kv_precision not in allowed:
        raise EngineError(
            "unsupported-kv-precision",
            f"With {spec.precision} weights OpenVINO does not support a KV cache in {spec.kv_precision}.",
            f"Choose auto or one of {', '.join(allowed)}.",
        )
