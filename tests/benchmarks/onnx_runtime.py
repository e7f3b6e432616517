"""Decode speed and TTFT of ONNX Runtime compared with OpenVINO and the reference."""

from __future__ import annotations

import asyncio

from tests.benchmarks.decode import COLUMNS, METHOD, measure, report
from tests.benchmarks.environment import BenchmarkEnvironment
from tests.benchmarks.table import Result

PRECISIONS = {"openvino": ("fp32", "int8"), "onnxruntime": ("fp32", "int8", "int4")}


def run(bench: BenchmarkEnvironment) -> Result:
    """Measure the engines of PRECISIONS with every checkpoint."""
    sizes = bench.sizes
    method = METHOD.format(prompt=sizes.prompt_tokens, new=sizes.new_tokens, rounds=sizes.rounds)
    result = Result("onnx_runtime", method, COLUMNS)
    others = [
        f"{backend}:{precision}"
        for backend, precisions in PRECISIONS.items()
        for precision in precisions
        if precision in sizes.precisions
    ]
    for name in bench.checkpoints:
        measured = asyncio.run(measure(bench, name, [sizes.reference, *others]))
        result.notes.append(f"{name}: {measured.summary()}")
        report(result, name, measured.best, sizes.reference)
    return result
