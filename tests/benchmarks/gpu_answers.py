"""Quality of each precision on a GPU with the demo checkpoint, TTFT in a conversation, and load times.

`python -m tests.benchmarks.gpu_answers --json figures.json`: each engine is prepared in one process and
loaded in another, so that the load time is that of a stored engine.
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
    prompt_token_ids,
)
from tests.benchmarks.gpu_decode import Meter
from tests.benchmarks.gpu_process import EngineBehindPipe
from tests.engines.demo_prompts import PROMPTS

REFERENCE, PLAIN, COMPILED = "pytorch:fp32", "pytorch:bf16", "compiled:bf16"
ENGINES = (REFERENCE, PLAIN, COMPILED, "compiled:int8", "compiled:fp8", "compiled:int4")
PROCESS = "tests.benchmarks.gpu_answers_engine"
METHOD = f"""\
Demo checkpoint, greedy answers of {NEW} tokens to {len(PROMPTS)} prompts. KLD in nats, same top and PPL
ratio: teacher-forced over prompt and answer of {REFERENCE}, compared with it, over the {TOP} most likely of
{VOCABULARY} tokens and the rest as one. First divergent token: compared with {PLAIN}; the margin is ln P of
{PLAIN}'s most likely token minus that of its second there. TTFT: conversations of {TURNS} turns, {TURN} new
random tokens and an answer of {REPLY} in each; last turn / first, median of {CONVERSATIONS} after one
warm-up. Decode: of the first answer, and the median of all {len(PROMPTS)}. All engines are prepared in
parallel, then loaded in parallel; they answer one at a time while the others are idle. Device memory: NVML,
all processes."""


@dataclass
class EngineResult:
    """Results of one engine's process."""

    load_s: float
    log: list[str]
    answers: list[list[int]]
    margins: list[list[float]]
    """`top_margin` of each token of the answers."""
    first_decode: float
    """Tok/s of the first answer, which is slower if a library plans again for each new length."""
    decode: float
    scores: list[Scores]
    ttft_ratios: list[float]


def prepare_engines(names: list[str], device: str, root: Path) -> dict[str, dict[str, Any]]:
    """Prepare the engines whose backends build, in parallel; return facts and seconds by name."""

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


def run_engines(
    names: list[str], device: str, root: Path, prompts: list[list[int]]
) -> dict[str, EngineResult]:
    """Load all engines, then run them one by one; the first is the reference that others are scored on."""
    engines = [EngineBehindPipe(PROCESS, name, device, str(root / name), "answer") for name in names]
    for engine in engines:
        engine.wait()
    found: dict[str, EngineResult] = {}
    texts: list[list[int]] = []
    for engine in engines:
        facts = engine.loaded | engine.ask(texts)
        facts["scores"] = [Scores(*score) for score in facts["scores"]]
        one = found[engine.name] = EngineResult(**facts)
        engine.close()
        texts = texts or [prompt + tokens for prompt, tokens in zip(prompts, one.answers, strict=True)]
    return found


def concatenate(scores: list[Scores]) -> Scores:
    """Concatenate the scores of several texts."""
    return Scores(
        [value for one in scores for value in one.logprobs],
        [row for one in scores for row in one.top_ids],
        [row for one in scores for row in one.top_logprobs],
    )


def divergence_text(one: EngineResult, plain: EngineResult) -> str:
    """Describe how many answers differ from the plain engine's, and the earliest divergence."""
    firsts = [first_divergent_token(p, a) for p, a in zip(plain.answers, one.answers, strict=True)]
    different = [(index, first) for index, first in enumerate(firsts) if first is not None]
    if not different:
        return f"none in {len(firsts)} answers"
    index, first = min(different, key=lambda pair: pair[1])
    margin = plain.margins[index][first]
    return f"{len(different)} of {len(firsts)} answers, first at token {first} (margin {margin:.3f})"


def main() -> None:
    """Prepare and run the engines and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--engines", nargs="+", default=list(ENGINES))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    meter, prompts = Meter(), prompt_token_ids(Tokenizer(CHECKPOINT))
    with TemporaryDirectory() as folder:
        root = Path(folder)
        made = prepare_engines(options.engines, options.device, root)
        before = meter.used()
        found = run_engines(options.engines, options.device, root, prompts)
    time.sleep(1)
    memory = f"device memory before {before / 1e9:.2f} GB, after {meter.used() / 1e9:.2f} GB"
    lines = [engine_row(name, found, made.get(name, {})) for name in found]
    print("\n".join([*table(lines), "", METHOD, memory, versions()]))
    if options.json:
        document = {"rows": lines, "memory": memory, "versions": versions()}
        options.json.write_text(json.dumps(document, indent=1), "utf-8")


def engine_row(name: str, found: dict[str, EngineResult], made: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of one engine; the first of `found` is the reference."""
    one, reference = found[name], next(iter(found.values()))
    card = quality_card(concatenate(reference.scores), concatenate(one.scores))
    return {
        "engine": name,
        "mean_kld": card.mean_kld,
        "kld_99": card.kld["99.0%"],
        "same_top": card.same_top,
        "ppl_ratio": card.ppl_ratio,
        "diverging": divergence_text(one, found[PLAIN]) if PLAIN in found and name != PLAIN else "",
        "first_decode": one.first_decode,
        "decode": one.decode,
        "prepare_s": made.get("s"),
        "load_s": one.load_s,
        "log": one.log,
        "ttft_ratio": statistics.median(one.ttft_ratios),
    }


def table(lines: list[dict[str, Any]]) -> list[str]:
    """Return a Markdown table."""
    text = [
        f"| engine | mean KLD | 99 % | same top | PPL ratio | differs from {PLAIN} | turn {TURNS} / 1 TTFT "
        "| first answer tok/s | decode tok/s | prepare s | load s | log |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        prepare = f"{line['prepare_s']:.0f}" if line["prepare_s"] else "–"
        text.append(
            f"| {line['engine']} | {line['mean_kld']:.5f} | {line['kld_99']:.5f} | {line['same_top']:.1%} "
            f"| {line['ppl_ratio']:.4f} | {line['diverging'] or '–'} | {line['ttft_ratio']:.2f} "
            f"| {line['first_decode']:.0f} | {line['decode']:.0f} | {prepare} | {line['load_s']:.1f} "
            f"| {'; '.join(line['log']) or '–'} |"
        )
    return text


def versions() -> str:
    """Return the versions of Python and the libraries."""
    packages = {name: version(name) for name in ("torch", "transformers", "torchao")}
    return f"python {platform.python_version()}, {packages}"


if __name__ == "__main__":
    main()
