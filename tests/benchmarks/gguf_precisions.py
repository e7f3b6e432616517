"""What each precision of llama.cpp engines costs in weights: KL divergence of their dequantised form.

    python -m tests.benchmarks.gguf_precisions [FOLDER]

`python -m tests.benchmarks` does not run it. FOLDER is a checkpoint, such as the one that
`python -m tests.benchmarks.smollm2` makes; without it the demo is measured.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from engines.backends.base import Scores
from engines.backends.llama_cpp.backend import FILE, LlamaCppBackend
from engines.backends.pytorch import PyTorchBackend
from engines.build.spec import CALIBRATED, RECIPE, EngineSpec
from engines.demo import CHECKPOINT
from engines.worker.report import StageReport
from tests.benchmarks.int4_recipes import Measured, alone, reference, row, score, texts_of
from tests.benchmarks.machine import load_average, machine
from tests.benchmarks.table import Budget, Result, number

METHOD = """\
Each engine file is built in a process of its own. Then transformers runs its dequantised weights in fp32 over
{texts} texts of {tokens:,} tokens together: the mean KL divergence of the whole vocabulary from the
checkpoint in fp32, how often the most likely token is the same, and the PPL. What llama.cpp's own arithmetic
adds, such as activations in 8 bits, is not part of it. Calibration uses the project's other texts. Seconds
are of the build, imports and calibration included."""
COLUMNS = ("precision", "MB", "PPL", "KLD", "same top", "build s")
REFERENCE, PLAIN, CALIBRATED_MIX = "transformers fp32", "q4_k_m, not calibrated", "q4_k_m"
PRECISIONS = {
    "q8_0": ("q8_0", {}),
    CALIBRATED_MIX: ("q4_k_m", {RECIPE: CALIBRATED}),
    PLAIN: ("q4_k_m", {}),
    "q4_0": ("q4_0", {}),
}


def build(spec: EngineSpec, folder: Path) -> float:
    """Build an engine in this process; return the seconds."""
    begun = time.perf_counter()
    LlamaCppBackend().prepare(spec, Path(spec.checkpoint), folder, _report())
    return time.perf_counter() - begun


def compare(file: Path, checkpoint: Path, rows: Path) -> list[Scores]:
    """Score the texts with the dequantised weights of a file, compared with the reference."""
    backend = PyTorchBackend()
    backend.load(EngineSpec(str(file), "pytorch", "fp32"), file, None, _report())
    return score(backend, texts_of(checkpoint), rows, keep=False)


def measured(checkpoint: Path, folder: Path) -> list[Measured]:
    """Measure the reference and each precision, each in processes of its own."""
    base = alone(reference, checkpoint, folder)
    rows = [row(REFERENCE, base, base)]
    for name, (precision, options) in PRECISIONS.items():
        engine = folder / name
        engine.mkdir()
        spec = EngineSpec(str(checkpoint), "llama-cpp", precision, options=dict(options))
        seconds = alone(build, spec, engine)
        found = alone(compare, engine / FILE, checkpoint, folder)
        rows.append(replace(row(name, base, found, (engine / FILE).stat().st_size), seconds=seconds))
    return rows


def _cells(one: Measured) -> tuple[str, ...]:
    quality = (f"{one.ppl:.3f}", f"{one.divergence:.4f}", f"{one.same_top:.1%}")
    if not one.bytes:
        return (one.recipe, "", *quality, "")
    return (one.recipe, f"{one.bytes / 1e6:.1f}", *quality, number(one.seconds))


def _report() -> StageReport:
    """Return a report that nothing reads."""
    return StageReport(lambda _: None, 0, (*LlamaCppBackend.prepare_stages, *PyTorchBackend.load_stages))


def main() -> None:
    """Print the machine, the method and a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, nargs="?", default=CHECKPOINT, help="a model folder")
    checkpoint = parser.parse_args().checkpoint.resolve()
    texts = texts_of(checkpoint)
    with tempfile.TemporaryDirectory(prefix="trt-playground-bench-") as folder:
        rows = measured(checkpoint, Path(folder))
    method = METHOD.format(texts=len(texts), tokens=sum(map(len, texts)))
    result = Result("gguf_precisions", method, COLUMNS, [_cells(one) for one in rows])
    divergences = {one.recipe: one.divergence for one in rows}
    gain = divergences[CALIBRATED_MIX] / divergences[PLAIN]
    result.budgets = [Budget("KLD, calibrated / not calibrated", gain, 0.7)]
    print("\n".join(machine().lines()))
    print(f"load      {load_average()}\n")
    print("\n".join(result.lines()))


if __name__ == "__main__":
    main()
