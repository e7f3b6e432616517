"""The ONNX Runtime backend: the graph of `engines.onnx` on the CPU."""

from __future__ import annotations

import time
from importlib import metadata
from pathlib import Path
from typing import ClassVar

from engines.backends.base import Availability, Report, context_window
from engines.backends.eager_imports import skip_compiler
from engines.backends.graph_backend import GraphBackend
from engines.backends.probe import probe_packages
from engines.backends.weight_progress import weight_progress
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.plan.checkpoint.tensors import tensor_entries
from engines.plan.decoder.decoder import read_decoder

PRECISIONS = ("fp32", "int8", "int4")
PACKAGES = ("onnx", "onnxruntime")


class OnnxRuntimeBackend(GraphBackend):
    """ONNX Runtime on the CPU, with weights in one of PRECISIONS.

    It computes in fp32, except that the inputs of products with quantised weights are rounded to int8, its
    default, which is faster. On the demo checkpoint with int8 weights this adds a
    KL divergence of 1.7e-3 to the 4.1e-3 of the weights.
    """

    name: ClassVar[str] = "onnxruntime"
    title: ClassVar[str] = "ONNX Runtime"
    prepare_stages: ClassVar[tuple[str, ...]] = ("convert", "check")

    @classmethod
    def start_process(cls) -> None:
        """See `Backend.start_process`: tokens are sampled with transformers' logits processors."""
        skip_compiler()

    @classmethod
    def probe(cls) -> Availability:
        """See `Backend.probe`. Needs both PACKAGES."""
        return probe_packages(PACKAGES, ("cpu",))

    def prepare(
        self, spec: EngineSpec, checkpoint: Path, directory: Path, report: Report
    ) -> dict[str, object]:
        """See `Backend.prepare`. The facts: weight_bytes, precision, seconds, version of ONNX."""
        _check(spec)
        started = time.monotonic()
        decoder, entries = read_decoder(checkpoint), tensor_entries(checkpoint)
        import onnx

        from engines.onnx.decoder_graph import GraphFormat, write_graph
        from engines.onnx.folder import DATA, GRAPH
        from engines.weights.reader import WeightReader

        report.stage("convert")
        form = GraphFormat("fp32", spec.precision, int8_embedding=True)
        write_graph(decoder, WeightReader(entries, weight_progress(decoder, report)), directory, form)
        report.stage("check")
        onnx.checker.check_model(str(directory / GRAPH), full_check=True)
        return {
            "weight_bytes": (directory / DATA).stat().st_size,
            "precision": spec.precision,
            "seconds": round(time.monotonic() - started, 3),
            "onnx": metadata.version("onnx"),
        }

    def load(self, spec: EngineSpec, checkpoint: Path, directory: Path | None, report: Report) -> None:
        """See `Backend.load`.

        Raises:
            EngineError: `load-failed`, `not-built`, or an unsupported option.
        """
        _check(spec)
        decoder = read_decoder(checkpoint)
        if directory is None:
            raise EngineError("not-built", "The ONNX engine has not been prepared.", "Prepare it.")
        report.stage("import")
        from engines.backends.onnxruntime.runner import OnnxRunner

        report.stage("load")
        self.close()
        self.context_tokens = context_window(spec, decoder.max_positions, report.log)
        self._runner = OnnxRunner(directory, decoder, self.context_tokens)


def _check(spec: EngineSpec) -> None:
    if spec.device != "cpu":
        raise EngineError(
            "unsupported-device",
            f"ONNX Runtime runs on the CPU here, not on {spec.device}.",
            "Choose the device cpu.",
        )
    if spec.precision not in PRECISIONS:
        raise EngineError(
            "unsupported-precision",
            f"ONNX Runtime does not support {spec.precision} on the CPU.",
            f"Choose one of {', '.join(PRECISIONS)}.",
        )
    if spec.kv_precision not in ("auto", "f32"):
        raise EngineError(
            "unsupported-kv-precision",
            f"ONNX Runtime keeps the KV cache in f32, not in {spec.kv_precision}.",
            "Choose auto.",
        )
