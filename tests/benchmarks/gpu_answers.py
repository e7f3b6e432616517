"""What each precision does to the demo's answers on a GPU, and what a conversation and a second load cost.

`python -m tests.benchmarks.gpu_answers --json figures.json`: each engine is prepared in one process and
loaded in another, so that a second load is a real one.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from engines.backends.base import Scores
from engines.backends.registry import BACKENDS
from engines.demo import CHECKPOINT
from engines.measure.quality import first_divergent_token, quality_card
from engines.worker.tokenizer import Tokenizer
from tests.benchmarks.gpu_answers_engine import (
    CONVERSATIONS,
    NEW,
    REPLY,
    TOP,
    TURN,
    TURNS,
    VOCABULARY,
    sequences,
)
from tests.benchmarks.gpu_decode import Meter
from tests.benchmarks.gpu_process import EngineBehindPipe
from tests.engines.demo_prompts import PROMPTS

REFERENCE, PLAIN, COMPILED = "pytorch:fp32", "pytorch:bf16", "compiled:bf16"
ENGINES = (REFERENCE, PLAIN, COMPILED, "compiled:int8", "compiled:fp8", "compiled:int4")
PROCESS = "tests.benchmarks.gpu_answers_engine"
METHOD = f"""\
Demo checkpoint, greedy answers of {NEW} tokens to {len(PROMPTS)} prompts. KLD in nats, same top and PPL
ratio: teacher forced over prompt and answer of {REFERENCE}, against it, over the {TOP} likeliest of
{VOCABULARY} tokens and the rest as one. First divergent token: against {PLAIN}; the margin is how much more
likely (in ln) {PLAIN} held its first token than its second one there. TTFT: conversations of {TURNS} turns,
{TURN} new random tokens and an answer of {REPLY} in each; last turn over first, median of {CONVERSATIONS}
after one of warm-up. Decode: of the very first answer, and the median of all {len(PROMPTS)}. All engines are
prepared side by side, then loaded side by side; they answer one at a time, while the others wait. Device
memory: NVML, all programs."""


@dataclass
class Found:
    """What the process of an engine says."""

    load_s: float
    said: list[str]
    answers: list[list[int]]
    margins: list[list[float]]
    """Of each token of the answers, over the second likeliest."""
    first_decode: float
    """Tok/s of the process's very first answer; a library may plan for each length that it has not seen."""
    decode: float
    scores: list[Scores]
    ttft_ratios: list[float]


def prepared(names: list[str], device: str, root: Path) -> dict[str, dict[str, Any]]:
    """Prepare those that have something to prepare, side by side."""

    def prepare(name: str) -> dict[str, Any]:
        engine = EngineBehindPipe(PROCESS, name, device, str(root / name), "prepare")
        engine.wait()
        engine.close()
        return engine.loaded

    builds = [name for name in names if BACKENDS[name.partition(":")[0]].builds]
    for name in builds:
        (root / name).mkdir()
    with ThreadPoolExecutor(len(builds) or 1) as pool:
        return dict(zip(builds, pool.map(prepare, builds), strict=True))


def answered(names: list[str], device: str, root: Path, prompts: list[list[int]]) -> dict[str, Found]:
    """Load all of them, then let one after the other answer; the first says what all are held against."""
    engines = [EngineBehindPipe(PROCESS, name, device, str(root / name), "answer") for name in names]
    for engine in engines:
        engine.wait()
    found: dict[str, Found] = {}
    texts: list[list[int]] = []
    for engine in engines:
        told = engine.loaded | engine.ask(texts)
        told["scores"] = [Scores(*score) for score in told["scores"]]
        one = found[engine.name] = Found(**told)
        engine.close()
        texts = texts or [prompt + tokens for prompt, tokens in zip(prompts, one.answers, strict=True)]
    return found


def joined(scores: list[Scores]) -> Scores:
    """All texts as one."""
    return Scores(
        [value for one in scores for value in one.logprobs],
        [row for one in scores for row in one.top_ids],
        [row for one in scores for row in one.top_logprobs],
    )


def diverging(one: Found, plain: Found) -> str:
    """Answers that are not the plain engine's, and the least divergent of them."""
    firsts = [first_divergent_token(p, a) for p, a in zip(plain.answers, one.answers, strict=True)]
    different = [(index, first) for index, first in enumerate(firsts) if first is not None]
    if not different:
        return f"none in {len(firsts)} answers"
    index, first = min(different, key=lambda pair: pair[1])
    margin = plain.margins[index][first]
    return f"{len(different)} of {len(firsts)} answers, first at token {first} (margin {margin:.3f})"


def main() -> None:
    """Prepare, load, ask, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--engines", nargs="+", default=list(ENGINES))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    meter, prompts = Meter(), sequences(Tokenizer(CHECKPOINT))
    with TemporaryDirectory() as folder:
        root = Path(folder)
        made = prepared(options.engines, options.device, root)
        before = meter.used()
        found = answered(options.engines, options.device, root, prompts)
    time.sleep(1)
    memory = f"device memory before {before / 1e9:.2f} GB, after {meter.used() / 1e9:.2f} GB"
    lines = [row_of(name, found, made.get(name, {})) for name in found]
    print("\n".join([*table(lines), "", METHOD, memory, versions()]))
    if options.json:
        document = {"rows": lines, "memory": memory, "versions": versions()}
        options.json.write_text(json.dumps(document, indent=1), "utf-8")


def row_of(name: str, found: dict[str, Found], made: dict[str, Any]) -> dict[str, Any]:
    """Figures of one engine; the first of `found` is the reference."""
    one, reference = found[name], next(iter(found.values()))
    card = quality_card(joined(reference.scores), joined(one.scores))
    return {
        "engine": name,
        "mean_kld": card.mean_kld,
        "kld_99": card.kld["99.0%"],
        "same_top": card.same_top,
        "ppl_ratio": card.ppl_ratio,
        "diverging": diverging(one, found[PLAIN]) if PLAIN in found and name != PLAIN else "",
        "first_decode": one.first_decode,
        "decode": one.decode,
        "prepare_s": made.get("s"),
        "load_s": one.load_s,
        "said": one.said,
        "ttft_ratio": statistics.median(one.ttft_ratios),
    }


def table(lines: list[dict[str, Any]]) -> list[str]:
    """For people."""
    text = [
        f"| engine | mean KLD | 99 % | same top | PPL ratio | differs from {PLAIN} | turn {TURNS} / 1 TTFT "
        "| first answer tok/s | decode tok/s | prepare s | load s | it says |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        prepare = f"{line['prepare_s']:.0f}" if line["prepare_s"] else "–"
        text.append(
            f"| {line['engine']} | {line['mean_kld']:.5f} | {line['kld_99']:.5f} | {line['same_top']:.1%} "
            f"| {line['ppl_ratio']:.4f} | {line['diverging'] or '–'} | {line['ttft_ratio']:.2f} "
            f"| {line['first_decode']:.0f} | {line['decode']:.0f} | {prepare} | {line['load_s']:.1f} "
            f"| {'; '.join(line['said']) or '–'} |"
        )
    return text


def versions() -> str:
    """What it was measured with."""
    packages = {name: version(name) for name in ("torch", "transformers", "torchao")}
    return f"python {platform.python_version()}, {packages}"


if __name__ == "__main__":
    main()
