"""Build plans with TensorRT for RTX: `python -m tests.benchmarks.tensorrt_plans FOLDER [--for sm89]`.

`python -m tests.benchmarks` does not run it. It needs tensorrt-rtx, and no GPU.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from engines.backends.tensorrt.backend import TensorRTBackend
from engines.backends.tensorrt.library import installed
from engines.backends.tensorrt.plan_file import PLAN
from engines.build.spec import CONTEXT, TARGET, EngineSpec
from engines.worker.report import StageReport
from tests.benchmarks.machine import load_average, machine
from tests.benchmarks.table import Result, number

METHOD = """\
One process for each precision, which writes the ONNX graph and builds its plan for {target} with a context of
{context} tokens; the builder uses one thread. Seconds are wall time of each stage, memory is the largest
resident size of the process, ONNX is the graph with its weights before they are removed."""
PRECISIONS = ("fp16", "int8", "int4", "fp8")
COLUMNS = ("precision", "convert s", "build s", "ONNX MB", "plan MB", "peak MB")


@dataclass(frozen=True)
class Measured:
    """One build."""

    precision: str
    convert_seconds: float
    build_seconds: float
    onnx_bytes: int
    plan_bytes: int
    peak_bytes: int

    def row(self) -> tuple[str, ...]:
        """Return the cells of COLUMNS."""
        sizes = (self.onnx_bytes, self.plan_bytes, self.peak_bytes)
        return (
            self.precision,
            number(self.convert_seconds),
            number(self.build_seconds),
            *(f"{size / 1e6:,.0f}" for size in sizes),
        )


def measure(checkpoint: str, precision: str, target: str, context: int) -> Measured:
    """Build one plan in this process."""
    options = {TARGET: target, CONTEXT: str(context)}
    spec = EngineSpec(checkpoint, "tensorrt", precision, "cuda:0", context=context, options=options)
    with tempfile.TemporaryDirectory() as name:
        folder, begun = Path(name), {"start": time.perf_counter()}
        sizes: dict[str, int] = {}

        class Report(StageReport):
            def stage(self, stage: str) -> None:
                begun[stage] = time.perf_counter()
                sizes[stage] = sum(file.stat().st_size for file in folder.iterdir())

        report = Report(lambda _: None, 0, TensorRTBackend.prepare_stages)
        TensorRTBackend().prepare(spec, Path(checkpoint), folder, report)
        return Measured(
            precision=precision,
            convert_seconds=begun["build"] - begun["start"],
            build_seconds=begun["save"] - begun["build"],
            onnx_bytes=sizes["build"],
            plan_bytes=(folder / PLAN).stat().st_size,
            peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        )


def main() -> None:
    """Print the machine, the method and a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="a folder with config.json and safetensors")
    parser.add_argument("precisions", nargs="*", default=list(PRECISIONS))
    parser.add_argument("--for", dest="target", default="sm89")
    parser.add_argument("--context", type=int, default=2048)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = []
    for precision in given.precisions:
        arguments = (str(given.checkpoint.resolve()), precision, given.target, given.context)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            rows.append(pool.submit(measure, *arguments).result())
    method = METHOD.format(target=given.target, context=given.context)
    result = Result("tensorrt_plans", method, COLUMNS, [row.row() for row in rows])
    print("\n".join(machine().lines()))
    print(f"library   {' '.join(installed() or ())}\nload      {load_average()}\n")
    print("\n".join(result.lines()))
    if given.json:
        given.json.write_text(json.dumps([vars(row) for row in rows]))


if __name__ == "__main__":
    main()
