"""What each recipe of OpenVINO int4 costs in quality and speed.

    python -m tests.benchmarks.int4_recipes [FOLDER]

`python -m tests.benchmarks` does not run it. FOLDER is a checkpoint, such as the one that
`python -m tests.benchmarks.smollm2` makes; without it the demo is measured.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from math import exp
from pathlib import Path
from random import Random
from statistics import median
from typing import TypeVar

from engines.backends.base import Backend, Scores
from engines.backends.openvino.backend import OpenVINOBackend
from engines.backends.openvino.saving import MODEL
from engines.backends.pytorch import PyTorchBackend
from engines.build.spec import CALIBRATED, RECIPE, EngineSpec
from engines.compare.text import shipped_texts
from engines.demo import CHECKPOINT
from engines.plan.decoder.decoder import read_decoder
from engines.worker.logprob_rows import RowReader, RowWriter
from engines.worker.protocol import Sampling
from engines.worker.report import StageReport
from engines.worker.tokenizer import Tokenizer
from tests.benchmarks.machine import load_average, machine
from tests.benchmarks.table import Budget, Result, number, ratios, spread

T = TypeVar("T")

METHOD = """\
Each engine is built in a process of its own and scores {texts} texts of {tokens:,} tokens together, with a KV
cache in f32: the mean KL divergence of the whole vocabulary from transformers fp32, how often the most likely
token is the same, and the PPL. Calibration uses the project's other texts. Bits per weight are of the layers,
scales and norms included. Seconds are of the build, imports and calibration included; memory is its largest
resident size. Speed: all engines are open in one process and generate {new} tokens after a prompt of {prompt}
in rotating order; medians of {rounds} rounds after one warm-up round, and of the ratios within each round to
int4 without calibration, with the range."""
COLUMNS = (
    *("recipe", "bits/weight", "MB", "PPL", "KLD", "same top", "build s", "peak MB"),
    *("decode tok/s", "× not calibrated [range]"),
)
REFERENCE, PLAIN, DEFAULT = "transformers fp32", "int4, not calibrated", "int4"
RECIPES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "int8": ("int8", {}),
    PLAIN: ("int4", {}),
    DEFAULT: ("int4", {RECIPE: CALIBRATED}),
    "int4-awq": ("int4-awq", {}),
}
PROMPT_TOKENS, NEW_TOKENS, ROUNDS = 128, 64, 9
LONGEST = 512
"""Tokens of a text that are scored."""


@dataclass(frozen=True)
class Measured:
    """One engine."""

    recipe: str
    bytes: int
    ppl: float
    divergence: float
    same_top: float
    bits: float = 0.0
    seconds: float = 0.0
    peak_bytes: int = 0
    rates: tuple[float, ...] = ()
    """Decode tok/s of each round."""
    plain_rates: tuple[float, ...] = ()
    """Those of the engine that is not calibrated."""

    def cells(self) -> tuple[str, ...]:
        """Return the cells of COLUMNS."""
        quality = (f"{self.ppl:.3f}", f"{self.divergence:.4f}", f"{self.same_top:.1%}")
        if not self.bytes:
            return (self.recipe, "32", "", *quality, "", "", "", "")
        size = (f"{self.bits:.2f}", f"{self.bytes / 1e6:.1f}")
        cost = (number(self.seconds), f"{self.peak_bytes / 1e6:,.0f}")
        speed = (number(median(self.rates)), spread(self.ratios, "{:.2f}".format))
        return (self.recipe, *size, *quality, *cost, *speed)

    @property
    def ratios(self) -> list[float]:
        """Return the speed against the engine that is not calibrated, by round."""
        return ratios(list(self.rates), list(self.plain_rates))


def texts_of(checkpoint: Path) -> list[list[int]]:
    """Return the token ids of the texts that ship with the project, at most LONGEST of each."""
    tokenizer = Tokenizer(checkpoint)
    plain = [text.text or "\n".join(turn["content"] for turn in text.messages) for text in shipped_texts()]
    return [tokenizer.plain_ids(text)[:LONGEST] for text in plain]


def score(backend: Backend, texts: list[list[int]], rows: Path, *, keep: bool) -> list[Scores]:
    """Return the scores of the texts: keep their log-probabilities in `rows`, or compare with those."""
    found = []
    for index, ids in enumerate(texts):
        file, positions = rows / f"{index}.npy", len(ids) - 1
        if keep:
            writer = RowWriter(file, positions)
            found.append(backend.score(ids, 1, keep=writer))
        else:
            found.append(backend.score(ids, 1, reference=RowReader(file, positions)))
    return found


def reference(checkpoint: Path, rows: Path) -> list[Scores]:
    """Score the texts with transformers in this process and keep the log-probabilities."""
    backend = PyTorchBackend()
    backend.load(EngineSpec(str(checkpoint), "pytorch", "fp32"), checkpoint, None, report())
    return score(backend, texts_of(checkpoint), rows, keep=True)


def build(spec: EngineSpec, folder: Path) -> tuple[float, int]:
    """Build an engine in this process; return the seconds and the largest resident size in bytes."""
    begun = time.perf_counter()
    OpenVINOBackend().prepare(spec, Path(spec.checkpoint), folder, report())
    return time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def compare(spec: EngineSpec, folder: Path, rows: Path) -> list[Scores]:
    """Score the texts with an engine in this process, compared with the reference."""
    backend = OpenVINOBackend()
    backend.load(spec, Path(spec.checkpoint), folder, report())
    return score(backend, texts_of(Path(spec.checkpoint)), rows, keep=False)


def report() -> StageReport:
    """Return a report that nothing reads."""
    return StageReport(lambda _: None, 0, (*OpenVINOBackend.prepare_stages, *PyTorchBackend.load_stages))


def row(recipe: str, base: list[Scores], found: list[Scores], size: int = 0) -> Measured:
    """Return the figures of an engine, or of the reference itself."""
    tops = [(one.top_ids, other.top_ids) for one, other in zip(base, found, strict=True)]
    pairs = [pair for ones, others in tops for pair in zip(ones, others, strict=True)]
    logprobs = [value for one in found for value in one.logprobs]
    divergences = [value for one in found for value in one.kl] or [0.0]
    return Measured(
        recipe,
        size,
        exp(-sum(logprobs) / len(logprobs)),
        sum(divergences) / len(divergences),
        sum(one[0] == other[0] for one, other in pairs) / len(pairs),
    )


def measured(checkpoint: Path, folder: Path) -> list[Measured]:
    """Measure the reference and each recipe, each in processes of its own."""
    base = alone(reference, checkpoint, folder)
    rows = [row(REFERENCE, base, base)]
    specs = {
        recipe: EngineSpec(str(checkpoint), "openvino", precision, kv_precision="f32", options=dict(options))
        for recipe, (precision, options) in RECIPES.items()
    }
    for recipe, spec in specs.items():
        engine = folder / recipe
        engine.mkdir()
        seconds, peak = alone(build, spec, engine)
        size = (engine / MODEL).with_suffix(".bin").stat().st_size
        found = row(recipe, base, alone(compare, spec, engine, folder), size)
        rows.append(replace(found, seconds=seconds, peak_bytes=peak, bits=layer_bits(checkpoint, size)))
    rates = alone(speeds, specs, folder)
    plain = rates[PLAIN]
    return [rows[0], *(replace(one, rates=rates[one.recipe], plain_rates=plain) for one in rows[1:])]


def speeds(specs: Mapping[str, EngineSpec], folder: Path) -> dict[str, tuple[float, ...]]:
    """Return the decode tok/s of each engine and round."""
    engines = {}
    for recipe, spec in specs.items():
        engines[recipe] = OpenVINOBackend()
        engines[recipe].load(spec, Path(spec.checkpoint), folder / recipe, report())
    names, rates = list(engines), {recipe: list[float]() for recipe in engines}
    for turn in range(ROUNDS + 1):
        for recipe in names[turn % len(names) :] + names[: turn % len(names)]:
            rates[recipe].append(decode_rate(engines[recipe], turn))
    return {recipe: tuple(each[1:]) for recipe, each in rates.items()}


def decode_rate(engine: Backend, seed: int) -> float:
    """Return the tok/s of an answer to random tokens, after its first token."""
    prompt, times = Random(seed).choices(range(100, 4000), k=PROMPT_TOKENS), list[float]()
    wanted = Sampling(max_tokens=NEW_TOKENS, temperature=0, ignore_eos=True)
    engine.generate(prompt, wanted, frozenset(), lambda _: times.append(time.perf_counter()), lambda: False)
    return (len(times) - 1) / (times[-1] - times[0])


def alone(function: Callable[..., T], *arguments: object) -> T:
    """Call a function in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def layer_bits(checkpoint: Path, size: int) -> float:
    """Return the bits of a weight in the layers, of an engine whose tables are int8."""
    decoder = read_decoder(checkpoint)
    weights = sum(linear.inputs * linear.outputs for linear in decoder.linears[:-1])
    table = decoder.vocabulary * (decoder.hidden + 2)
    return 8 * (size - table * (1 if decoder.tied else 2)) / weights


def main() -> None:
    """Print the machine, the method and a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, nargs="?", default=CHECKPOINT, help="a model folder")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures to FILE")
    given = parser.parse_args()
    checkpoint = given.checkpoint.resolve()
    texts = texts_of(checkpoint)
    with tempfile.TemporaryDirectory(prefix="trt-playground-bench-") as folder:
        rows = measured(checkpoint, Path(folder))
    method = METHOD.format(
        texts=len(texts),
        tokens=sum(map(len, texts)),
        new=NEW_TOKENS,
        prompt=PROMPT_TOKENS,
        rounds=ROUNDS,
    )
    result = Result("int4_recipes", method, COLUMNS, [one.cells() for one in rows])
    plain, default = (next(one for one in rows if one.recipe == name) for name in (PLAIN, DEFAULT))
    result.budgets = [
        Budget("KLD, calibrated / not calibrated", default.divergence / plain.divergence, 0.7),
        Budget("size, calibrated / not calibrated", default.bytes / plain.bytes, 1.06),
        Budget("speed, calibrated / not calibrated", median(default.ratios), 0.95, at_least=True),
    ]
    print("\n".join(machine().lines()))
    print(f"load      {load_average()}\n")
    print("\n".join(result.lines()))
    if given.json:
        given.json.write_text(json.dumps([asdict(one) for one in rows], indent=1), "utf-8")


if __name__ == "__main__":
    main()
