"""The TensorRT backend: the graph of `engines.onnx`, built into a plan for one GPU architecture."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import ClassVar

from engines.backends.base import Availability, Report, context_window
from engines.backends.eager_imports import skip_compiler
from engines.backends.graph_backend import GraphBackend
from engines.backends.tensorrt import plan_file
from engines.backends.tensorrt.library import installed, library
from engines.backends.tensorrt.samples import calibration_samples
from engines.backends.tensorrt.targets import check_target
from engines.backends.weight_progress import weight_progress
from engines.build.spec import TARGET, EngineSpec
from engines.errors import EngineError, first_line
from engines.plan.checkpoint.tensors import tensor_entries
from engines.plan.decoder.config_check import refuse_soft_cap
from engines.plan.decoder.decoder import read_decoder
from engines.plan.hardware.targets import target_of

FLOATS = {"fp32": "fp32", "bf16": "bf16", "fp16": "fp16", "int8": "fp16", "int4": "fp16", "fp8": "fp16"}
"""What an engine of each precision computes in."""
CHUNK_TOKENS = 512


class TensorRTBackend(GraphBackend):
    """TensorRT for RTX, or TensorRT itself where that is installed instead."""

    name: ClassVar[str] = "tensorrt"
    title: ClassVar[str] = "TensorRT"
    prepare_stages: ClassVar[tuple[str, ...]] = ("convert", "build", "save")

    @classmethod
    def start_process(cls) -> None:
        """See `Backend.start_process`: tokens are sampled with transformers' logits processors."""
        skip_compiler()

    @classmethod
    def probe(cls) -> Availability:
        """See `Backend.probe`."""
        found = installed()
        if found is None:
            return Availability(
                available=False,
                reason="Neither TensorRT for RTX nor TensorRT 11 is installed.",
                hint='pip install "trt-playground[tensorrt-rtx]"',
            )
        return Availability(available=True, versions={found[0]: found[1]}, devices=("cuda",))

    def prepare(
        self, spec: EngineSpec, checkpoint: Path, directory: Path, report: Report
    ) -> dict[str, object]:
        """See `Backend.prepare`. The facts: weight_bytes, precision, target, seconds, layers."""
        module, version = _library()
        here, target = target_of(spec.device), spec.options[TARGET]
        if spec.precision not in FLOATS:
            raise EngineError(
                "unsupported-precision", f"TensorRT engines are not built in {spec.precision} here."
            )
        check_target(module, target, spec.precision, here)
        started = time.monotonic()
        report.stage("convert")
        context = self._write_graph(spec, checkpoint, directory, report)
        report.stage("build")
        _imported()
        from engines.backends.tensorrt.plan_builder import Sizes, build_plan
        from engines.onnx.folder import DATA, GRAPH

        report.log("The longest phase reports no progress; cancelling ends the process.")
        sizes = Sizes(context, min(CHUNK_TOKENS, context))
        plan = build_plan(directory / GRAPH, sizes, target, module, report.log)
        report.stage("save")
        (directory / plan_file.PLAN).write_bytes(plan.data)
        layers = {"source": "network", "layers": plan.layers}
        (directory / plan_file.LAYERS).write_text(json.dumps(layers))
        plan_file.PlanDetails(module, version, target, context, sizes.chunk_tokens).write(directory)
        (directory / DATA).unlink()  # the plan holds the weights; the inspector reads the graph
        return {
            "weight_bytes": (directory / plan_file.PLAN).stat().st_size,
            "precision": spec.precision,
            "target": target,
            "layers": len(plan.layers),
            "seconds": round(time.monotonic() - started, 3),
        }

    def cannot_load(self, spec: EngineSpec) -> str:
        """See `Backend.cannot_load`: engines may be built for another GPU."""
        here, target = target_of(spec.device), spec.options[TARGET]
        if not here:
            return f"it was built for {target}, and this machine has no NVIDIA GPU"
        return "" if here == target else f"it was built for {target}, and this machine's GPU is {here}"

    def load(self, spec: EngineSpec, checkpoint: Path, directory: Path | None, report: Report) -> None:
        """See `Backend.load`.

        Raises:
            EngineError: `not-built`, `other-gpu`, or why TensorRT cannot load the plan.
        """
        if directory is None:
            raise EngineError("not-built", "The TensorRT engine has not been prepared.", "Prepare it.")
        if why := self.cannot_load(spec):
            raise EngineError(
                "other-gpu",
                f"This engine cannot run here: {why}.",
                "Copy it to a machine with that GPU, or choose a backend that runs here (F2).",
            )
        report.stage("import")
        _imported()
        from engines.backends.tensorrt.device_memory import DeviceMemory
        from engines.backends.tensorrt.runner import TensorRTRunner

        report.stage("load")
        self.close()
        details = plan_file.read_details(directory)
        self.context_tokens = details.context
        runner = TensorRTRunner(directory, details, DeviceMemory(spec.device))
        self._runner = runner
        if not (directory / plan_file.ENGINE_LAYERS).exists():
            try:
                runner.describe()
            except Exception as error:  # only the inspector needs it
                report.log(f"The engine's layers cannot be listed: {first_line(error)}")

    def _write_graph(self, spec: EngineSpec, checkpoint: Path, directory: Path, report: Report) -> int:
        """Write the ONNX graph; returns the tokens of its KV cache."""
        from engines.onnx.decoder_graph import GraphFormat, write_graph
        from engines.weights.reader import WeightReader

        decoder = read_decoder(checkpoint)
        refuse_soft_cap(decoder.softcap)
        context = context_window(spec, decoder.max_positions, report.log)
        entries, scales = tensor_entries(checkpoint), dict[str, float]()
        if spec.calibration:
            from engines.backends.tensorrt.activation_scales import activation_scales

            samples = calibration_samples(checkpoint, spec.calibration)
            report.log(f"calibrating activations with {len(samples)} texts")
            scales = activation_scales(decoder, WeightReader(entries), samples, directory)
        form = GraphFormat(FLOATS[spec.precision], spec.precision, context, scales)
        reader = WeightReader(entries, weight_progress(decoder, report))
        write_graph(decoder, reader, directory, form)
        return context


def _library() -> tuple[str, str]:
    found = installed()
    if found is None:
        raise EngineError(
            "backend-not-installed",
            "Neither TensorRT for RTX nor TensorRT 11 is installed.",
            'pip install "trt-playground[tensorrt-rtx]"',
        )
    return found


def _imported() -> None:
    """Import the library, whose shared libraries may not fit this system.

    Raises:
        EngineError: `backend-not-installed`.
    """
    module, _ = _library()
    try:
        library()
    except (ImportError, OSError) as error:
        raise EngineError(
            "backend-not-installed",
            f"{module} cannot be imported: {first_line(error)}.",
            "Reinstall it: pip install --force-reinstall tensorrt-rtx.",
        ) from error
