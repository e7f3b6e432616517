"""Measure ModelOpt quantisation: `python -m tests.benchmarks.modelopt [PRECISION ...] [--quick]`.

`python -m tests.benchmarks` does not run it: it is meant for a GPU, and needs only torch, transformers and
nvidia-modelopt.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from engines.backends.calibration_texts import calibration_texts
from engines.backends.tensorrt_llm.quantise import CONFIGURATIONS, NEEDS_GPU, export, quantised, read_model
from engines.demo import CHECKPOINT
from engines.errors import EngineError
from engines.worker.report import StageReport
from tests.benchmarks.machine import machine
from tests.benchmarks.table import Result, number

METHOD = """\
The demo checkpoint, quantised on {device} with {calibrating} of the project's calibration texts.
Teacher-forced on {scored} other texts (at most {tokens} tokens each): mean KL divergence from the checkpoint
in bf16, in nats, and the share of positions with the same top token. "Weights": a plain bf16 model with the
dequantised weights of the exported files. "All": ModelOpt's fake-quantised model, activations included. One
process per precision; memory is its peak on the GPU if there is one, else resident."""
DEQUANTISE = Path(__file__).parents[1] / "doubles/tensorrt_llm/both/tensorrt_llm/_dequantise.py"
"""Loaded by path: its package is a double of a library and cannot be imported from here."""
TOKENS = 256
"""Maximum tokens of a scored text."""
COLUMNS = (
    "precision",
    "read s",
    "quantise s",
    "export s",
    "MB",
    "KL weights",
    "same top",
    "KL all",
    "same top all",
    "peak MB",
)


@dataclass(frozen=True)
class MeasurementPlan:
    """Device and texts of the measurement."""

    device: str
    calibrating: list[str]
    scored: list[str]


@dataclass(frozen=True)
class PrecisionResult:
    """Figures of one precision."""

    read_seconds: float
    quantise_seconds: float
    export_seconds: float
    weight_bytes: int
    kl_weights: float
    same_top_weights: float
    kl_all: float
    same_top_all: float
    peak_bytes: int

    def row(self, precision: str) -> tuple[str, ...]:
        """Return the row of the table."""
        seconds = (self.read_seconds, self.quantise_seconds, self.export_seconds)
        return (
            precision,
            *map(number, seconds),
            number(self.weight_bytes / 1e6),
            f"{self.kl_weights:.5f}",
            f"{self.same_top_weights:.2%}",
            f"{self.kl_all:.5f}",
            f"{self.same_top_all:.2%}",
            number(self.peak_bytes / 1e6),
        )


def main() -> None:
    """Measure the named precisions, or all; precisions that fail are noted."""
    import torch

    arguments = _arguments()
    plan = _plan("cuda" if torch.cuda.is_available() else "cpu", quick=arguments.quick)
    device = torch.cuda.get_device_name() if plan.device == "cuda" else "the CPU"
    method = METHOD.format(
        device=device, calibrating=len(plan.calibrating), scored=len(plan.scored), tokens=TOKENS
    )
    result = Result("modelopt", method, COLUMNS)
    for precision in arguments.precisions or CONFIGURATIONS:
        try:
            found = _measure_in_process(precision, plan)
        except Exception as error:
            # Continue with the other precisions.
            result.notes.append(f"{precision}: not measured: {error}")
            continue
        result.rows.append(found.row(precision))
        print(*found.row(precision), flush=True)  # kept if a later precision hangs
        result.figures[precision] = asdict(found)
    host = machine()
    host.versions["nvidia-modelopt"] = version("nvidia-modelopt")
    print("\n".join([*host.lines(), "", *result.lines()]))
    if arguments.json:
        document = {"machine": asdict(host), "device": device, "quick": arguments.quick}
        arguments.json.write_text(json.dumps(document | {"results": [result.to_json()]}, indent=1), "utf-8")
    raise SystemExit(0 if result.rows else 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.modelopt", description=__doc__)
    names = ", ".join(CONFIGURATIONS)
    parser.add_argument("precisions", nargs="*", metavar="PRECISION", help=f"of {names}; all if none")
    parser.add_argument("--quick", action="store_true", help="few texts; not for reporting")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures to FILE")
    return parser.parse_args()


def _plan(device: str, *, quick: bool) -> MeasurementPlan:
    """Split the texts: every fourth is scored, the others calibrate."""
    texts = calibration_texts("")
    scored = texts[::4]
    calibrating = [text for index, text in enumerate(texts) if index % 4]
    return (
        MeasurementPlan(device, calibrating[:4], scored[:2])
        if quick
        else MeasurementPlan(device, calibrating, scored)
    )


def _measure_in_process(precision: str, plan: MeasurementPlan) -> PrecisionResult:
    """Measure in a new process, so that the peak memory is that of this precision."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_measure_or_raise_text, precision, plan).result()


def _measure_or_raise_text(precision: str, plan: MeasurementPlan) -> PrecisionResult:
    """Measure; convert exceptions to text, because not every exception can be pickled."""
    try:
        return measure(precision, plan)
    except Exception as error:
        raise RuntimeError(f"{type(error).__name__}: {error}") from None


def measure(precision: str, plan: MeasurementPlan) -> PrecisionResult:
    """Quantise and export the demo checkpoint, and compare both results with bf16."""
    import torch

    if precision in NEEDS_GPU and plan.device == "cpu":
        raise EngineError("no-device", f"{precision} is calibrated on an NVIDIA GPU only.")
    report = StageReport(lambda _: None, 1, ("quantise", "export"))
    started = time.monotonic()
    model, tokenizer = read_model(CHECKPOINT, plan.device)
    reading = time.monotonic()
    batches = [
        tokenizer(text, return_tensors="pt", truncation=True, max_length=TOKENS).input_ids.to(plan.device)
        for text in plan.scored
    ]
    reference = _scores(model.to(torch.bfloat16), batches)
    before = time.monotonic()
    model = quantised(model, tokenizer, precision, plan.calibrating, report)
    after = time.monotonic()
    everything = _compared(reference, _scores(model, batches))
    with tempfile.TemporaryDirectory(prefix="trt-playground-modelopt-") as name:
        folder = Path(name)
        exporting = time.monotonic()
        export(model, CHECKPOINT, folder)
        exported = time.monotonic()
        peak = _peak(plan.device)
        size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        weights = _compared(reference, _scores(_of_exported(folder, plan.device), batches))
    return PrecisionResult(
        read_seconds=reading - started,
        quantise_seconds=after - before,
        export_seconds=exported - exporting,
        weight_bytes=size,
        kl_weights=weights[0],
        same_top_weights=weights[1],
        kl_all=everything[0],
        same_top_all=everything[1],
        peak_bytes=peak,
    )


def _of_exported(folder: Path, device: str) -> Any:
    """Return a plain bf16 model with the dequantised weights of the exported files."""
    import torch

    model, _ = read_model(CHECKPOINT, "cpu")
    missing, unexpected = model.load_state_dict(plain_weights(folder), strict=False)
    tied = {"lm_head.weight"} if model.config.tie_word_embeddings else set[str]()
    if unexpected or set(missing) - tied:
        raise ValueError(f"The exported weights do not fit: missing {missing}, unexpected {unexpected}.")
    return model.to(device, torch.bfloat16)


def plain_weights(folder: Path) -> dict[str, Any]:
    """Return every weight of an export as floats, by the names of the model."""
    found = importlib.util.spec_from_file_location("dequantise", DEQUANTISE)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    weights: dict[str, Any] = module.plain_weights(folder)
    return weights


def _scores(model: Any, batches: list[Any]) -> list[Any]:
    import torch

    with torch.inference_mode():
        return [model(batch, use_cache=False).logits[0].float().log_softmax(-1).cpu() for batch in batches]


def _compared(reference: list[Any], candidate: list[Any]) -> tuple[float, float]:
    """Return the mean KL divergence from the reference and the share of positions with the same top token."""
    import torch

    base, other = torch.cat(reference), torch.cat(candidate)
    divergence = (base.exp() * (base - other)).sum(-1).mean()
    return float(divergence), float((base.argmax(-1) == other.argmax(-1)).float().mean())


def _peak(device: str) -> int:
    import torch

    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
