"""The OpenVINO backend: continuous batching with a paged KV cache, on the CPU."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from engines.backends.base import Availability, Backend, Emit, Generated, Report, Scores, Stopped, context_of
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.plan.checkpoint.tensors import tensor_entries
from engines.plan.decoder.decoder import read_decoder
from engines.plan.kv_precision import kv_choices, resolved_kv
from engines.worker.protocol import KVUsage, MemoryUsage, Sampling

if TYPE_CHECKING:
    from engines.backends.openvino.pipeline import Pipeline

PRECISIONS = ("fp32", "bf16", "int8", "int4")
PACKAGES = ("openvino", "openvino-genai")


class OpenVINOBackend(Backend):
    """OpenVINO GenAI's ContinuousBatchingPipeline over a graph of our own."""

    name: ClassVar[str] = "openvino"
    title: ClassVar[str] = "OpenVINO"
    prepare_stages: ClassVar[tuple[str, ...]] = ("convert", "save")
    load_stages: ClassVar[tuple[str, ...]] = ("load",)

    def __init__(self) -> None:
        self._spec: EngineSpec | None = None
        self._pipeline: Pipeline | None = None
        self._scorer: Pipeline | None = None
        """A second pipeline, alive from a score to the next answer: see `score`."""

    @classmethod
    def probe(cls) -> Availability:
        """Look for both packages, without importing them."""
        versions = {}
        for package in PACKAGES:
            with suppress(metadata.PackageNotFoundError):
                versions[package] = metadata.version(package)
        missing = [name for name in PACKAGES if name not in versions or not find_spec(name.replace("-", "_"))]
        if missing:
            return Availability(
                False,
                versions,
                f"{' and '.join(missing)} not installed.",
                f"pip install {' '.join(PACKAGES)}",
            )
        return Availability(True, versions, devices=("cpu",))

    def prepare(
        self, spec: EngineSpec, checkpoint: Path, directory: Path, report: Report
    ) -> dict[str, object]:
        """See `Backend.prepare`. The facts are weight_bytes, precision, seconds and the OpenVINO version."""
        _check(spec)
        started = time.monotonic()
        decoder, entries = read_decoder(checkpoint), tensor_entries(checkpoint)
        from engines.backends.openvino import graph, saving
        from engines.backends.openvino.weights import WeightReader

        report.stage("convert")
        total, done = sum(linear.inputs * linear.outputs for linear in decoder.linears), 0

        def read(elements: int) -> None:
            nonlocal done
            done = min(total, done + elements)
            report.progress(done, total, "parameters")

        model, shared = graph.build(decoder, WeightReader(entries, read), spec.precision)
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
            EngineError: `load-failed`, or an option that is not covered.
        """
        _check(spec)
        decoder = read_decoder(checkpoint)
        report.stage("load")
        if directory is None:
            raise EngineError("not-built", "An OpenVINO engine is built before it is loaded.", "Prepare it.")
        self.close()
        self.context_tokens = context_of(spec, decoder.max_positions)
        if self.context_tokens < spec.context:
            report.log(f"The model's own limit is {self.context_tokens:,} tokens; it is asked for no more.")
        from engines.backends.openvino.pipeline import Pipeline, PipelineSettings

        kv_precision = resolved_kv(self.name, spec.precision, spec.kv_precision)
        hint = "bf16" if spec.precision == "bf16" else "f32"
        settings = PipelineSettings(
            directory, hint, kv_precision, self.context_tokens, decoder.vocabulary, report.log
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
        """See `Backend.generate`. Emits one token a step, the end-of-answer token included.

        Raises:
            EngineError: `context-full`, `bad-sampling`, `bad-tokens` or `engine-failed`.
        """
        self._close_scorer()
        return self._loaded.generate(token_ids, sampling, eos_token_ids, emit, stopped)

    def score(self, token_ids: Sequence[int], top_k: int = 0) -> Scores:
        """See `Backend.score`; the library gives no other tokens' values, so `top_k` does nothing.

        The serving pipeline computes nothing for tokens it has cached, and then makes up their
        log-probabilities. A second one, with no prefix cache, scores until the next answer; the engine
        takes its memory twice for that long.
        """
        serving = self._loaded
        if self._scorer is None:
            from engines.backends.openvino.pipeline import Pipeline

            self._scorer = Pipeline(serving.settings, reuse=False)
        return Scores(self._scorer.score(token_ids))

    @property
    def _loaded(self) -> Pipeline:
        if self._pipeline is None:
            raise EngineError("not-loaded", "No OpenVINO engine is loaded.", "Load one first.")
        return self._pipeline

    def kv_usage(self) -> KVUsage | None:
        """See `Pipeline.kv_usage`."""
        return self._pipeline.kv_usage() if self._pipeline else None

    def memory_usage(self) -> MemoryUsage | None:
        """Weights as they lie in the engine's file, which is mapped, and the KV cache's pool."""
        if self._pipeline is None:
            return None
        return MemoryUsage(weights=self._pipeline.weight_bytes, kv=self._pipeline.kv_usage().bytes_total)

    def close(self) -> None:
        """Drop the pipelines; OpenVINO gives their memory back."""
        self._close_scorer()
        if self._pipeline is not None:
            self._pipeline.close()
        self._pipeline = None

    def _close_scorer(self) -> None:
        if self._scorer is not None:
            self._scorer.close()
        self._scorer = None


def _check(spec: EngineSpec) -> None:
    if spec.device != "cpu":
        raise EngineError(
            "unsupported-device",
            f"OpenVINO runs on the CPU here, not on {spec.device}.",
            "Pick the device cpu.",
        )
    if spec.precision not in PRECISIONS:
        raise EngineError(
            "unsupported-precision",
            f"OpenVINO has no {spec.precision} on the CPU.",
            f"Pick one of {', '.join(PRECISIONS)}.",
        )
    allowed = kv_choices("openvino", spec.precision)
    if spec.kv_precision != "auto" and spec.kv_precision not in allowed:
        raise EngineError(
            "unsupported-kv-precision",
            f"OpenVINO does not store the KV cache of {spec.precision} weights as {spec.kv_precision}.",
            f"Pick auto or one of {', '.join(allowed)}.",
        )
