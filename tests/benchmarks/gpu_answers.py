"""What each precision does to the demo's answers on a GPU, and what a conversation and a second load cost.

`python -m tests.benchmarks.gpu_answers --json figures.json`: each engine is prepared in one process and
loaded in another, so that a second load is a real one.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from engines.backends.base import Backend, Scores
from engines.backends.registry import BACKENDS, backend_class
from engines.build.spec import EngineSpec
from engines.demo import CHECKPOINT
from engines.measure.quality import first_divergent_token, quality_card, top_margin
from engines.worker.protocol import Sampling
from engines.worker.tokenizer import Tokenizer
from tests.benchmarks.gpu_decode import Meter
from tests.benchmarks.gpu_engine import Logged

REFERENCE, PLAIN, COMPILED = "pytorch:fp32", "pytorch:bf16", "compiled:bf16"
ENGINES = (REFERENCE, PLAIN, COMPILED, "compiled:int8", "compiled:fp8", "compiled:int4")
PROMPTS = (
    "What is a KV cache?",
    "What is TTFT?",
    "Why is decode memory bound?",
    "What does int8 mean?",
    "Explain quantisation to me.",
    "What is TensorRT-LLM?",
    "What is a token?",
    "Who are you?",
    "Tell me a story about a fox.",
    "Name three colours.",
)
NEW, TURN, TURNS, CONVERSATIONS = 64, 64, 10, 5
CONTEXT = 2048
VOCABULARY = 4096
TOP = 512
METHOD = f"""\
Demo checkpoint, greedy answers of {NEW} tokens to {len(PROMPTS)} prompts. KLD in nats, same top and PPL
ratio: teacher forced over prompt and answer of {REFERENCE}, against it, over the {TOP} likeliest of
{VOCABULARY} tokens and the rest as one. First divergent token: against {PLAIN}; the margin is how much more
likely (in ln) {PLAIN} held its first token than its second one there. TTFT: conversations of {TURNS} turns,
{TURN} new random tokens and an answer of 32 in each; last turn over first, median of {CONVERSATIONS} after
one of warm-up. Device memory: NVML, all programs."""


@dataclass
class Found:
    """What the process of an engine says."""

    load_s: float
    said: list[str]
    answers: list[list[int]]
    scores: list[Scores]
    ttft_ratios: list[float]


def sequences(tokenizer: Tokenizer) -> list[list[int]]:
    """The prompts as the engines get them."""
    return [tokenizer.prompt_ids([{"role": "user", "content": prompt}]) for prompt in PROMPTS]


def spec_of(name: str, device: str) -> EngineSpec:
    """The engine that `name` stands for."""
    backend, _, precision = name.partition(":")
    return EngineSpec(str(CHECKPOINT), backend, precision, device=device, context=CONTEXT)


def generated(backend: Backend, prompt: list[int], new: int) -> tuple[list[int], float]:
    """A greedy answer, and its TTFT in seconds."""
    tokens: list[int] = []
    stamps: list[float] = []

    def take(some: Sequence[int]) -> None:
        stamps.append(time.perf_counter())
        tokens.extend(some)

    begun = time.perf_counter()
    backend.generate(prompt, Sampling(max_tokens=new, ignore_eos=True), frozenset(), take, lambda: False)
    return tokens, stamps[0] - begun


def conversation(backend: Backend, seed: int) -> float:
    """TTFT of the last turn over that of the first."""
    chooser = random.Random(seed)
    said: list[int] = []
    times = []
    for _ in range(TURNS):
        said += [chooser.randrange(5, VOCABULARY) for _ in range(TURN)]
        answer, ttft = generated(backend, said, 32)
        said += answer
        times.append(ttft)
    return times[-1] / times[0]


class Told(Logged):
    """Keeps what the engine says of its compiling."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, line: str) -> None:
        """Kept, and said."""
        super().log(line)
        self.lines.append(line)


def child(name: str, device: str, directory: Path, texts: list[list[int]] | None) -> dict[str, Any]:
    """In a process of its own: prepare if `texts` is None, else load and answer."""
    backend = backend_class(name.partition(":")[0])()
    spec, told = spec_of(name, device), Told()
    tokenizer = Tokenizer(CHECKPOINT)
    begun = time.monotonic()
    if texts is None:
        return {"facts": backend.prepare(spec, CHECKPOINT, directory, told), "s": time.monotonic() - begun}
    backend.load(spec, CHECKPOINT, directory if BACKENDS[spec.backend].builds else None, told)
    load_s = time.monotonic() - begun
    answers = [generated(backend, prompt, NEW)[0] for prompt in sequences(tokenizer)]
    texts = texts or [p + a for p, a in zip(sequences(tokenizer), answers, strict=True)]
    scores = [backend.score(text, TOP) for text in texts]
    ratios = [conversation(backend, seed) for seed in range(CONVERSATIONS + 1)][1:]
    backend.close()
    return {
        "load_s": load_s,
        "said": told.lines,
        "answers": answers,
        "scores": [[s.logprobs, s.top_ids, s.top_logprobs] for s in scores],
        "ttft_ratios": ratios,
    }


def run_child(name: str, device: str, directory: Path, texts: list[list[int]] | None) -> dict[str, Any]:
    """Start the process, and read its one line.

    Raises:
        RuntimeError: it ended without one.
    """
    command = [sys.executable, "-m", "tests.benchmarks.gpu_answers", "--child", name]
    asked = json.dumps([device, str(directory), texts])
    done = subprocess.run(command, input=asked, stdout=subprocess.PIPE, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise RuntimeError(f"{name} ended with {done.returncode}")
    return dict(json.loads(lines[-1]))


def prepared(names: list[str], device: str, root: Path) -> dict[str, dict[str, Any]]:
    """Prepare those that have something to prepare, side by side."""
    builds = [name for name in names if BACKENDS[name.partition(":")[0]].builds]
    for name in builds:
        (root / name).mkdir()
    with ThreadPoolExecutor(len(builds) or 1) as pool:
        made = pool.map(lambda name: run_child(name, device, root / name, None), builds)
        return dict(zip(builds, made, strict=True))


def found(answer: dict[str, Any]) -> Found:
    """From JSON."""
    scores = [Scores(*score) for score in answer["scores"]]
    return Found(answer["load_s"], answer["said"], answer["answers"], scores, answer["ttft_ratios"])


def joined(scores: list[Scores]) -> Scores:
    """All texts as one."""
    return Scores(
        [value for one in scores for value in one.logprobs],
        [row for one in scores for row in one.top_ids],
        [row for one in scores for row in one.top_logprobs],
    )


def diverging(one: Found, plain: Found, prompts: list[list[int]]) -> str:
    """Answers that are not the plain engine's, and the least divergent of them."""
    firsts = [first_divergent_token(p, a) for p, a in zip(plain.answers, one.answers, strict=True)]
    different = [(index, first) for index, first in enumerate(firsts) if first is not None]
    if not different:
        return f"none in {len(firsts)} answers"
    index, first = min(different, key=lambda pair: pair[1])
    row = len(prompts[index]) - 1 + first
    scores = plain.scores[index]
    margin = top_margin(scores.top_logprobs[row]) if row < len(scores.top_logprobs) else float("nan")
    return f"{len(different)} of {len(firsts)} answers, first at token {first} (margin {margin:.3f})"


def main() -> None:
    """Measure all engines, one after the other, after preparing them side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--engines", nargs="+", default=list(ENGINES))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.child:
        device, directory, asked = json.loads(sys.stdin.read())
        print(json.dumps(child(options.child, device, Path(directory), asked)), flush=True)
        return
    meter, rows, lines = Meter(), dict[str, Found](), list[dict[str, Any]]()
    with TemporaryDirectory() as folder:
        root = Path(folder)
        made = prepared(options.engines, options.device, root)
        texts: list[list[int]] = []
        prompts = sequences(Tokenizer(CHECKPOINT))
        for name in options.engines:
            before = meter.used()
            rows[name] = found(run_child(name, options.device, root / name, texts))
            time.sleep(1)
            after = meter.used()
            texts = texts or [p + a for p, a in zip(prompts, rows[name].answers, strict=True)]
            lines.append(row_of(name, rows, made.get(name, {}), prompts) | {"before": before, "after": after})
    print("\n".join([*table(lines), "", METHOD, versions()]))
    if options.json:
        options.json.write_text(json.dumps({"rows": lines, "versions": versions()}, indent=1), "utf-8")


def row_of(
    name: str, rows: dict[str, Found], made: dict[str, Any], prompts: list[list[int]]
) -> dict[str, Any]:
    """Figures of one engine; the first of `rows` is the reference."""
    one, reference = rows[name], next(iter(rows.values()))
    card = quality_card(joined(reference.scores), joined(one.scores))
    return {
        "engine": name,
        "mean_kld": card.mean_kld,
        "kld_99": card.kld["99.0%"],
        "same_top": card.same_top,
        "ppl_ratio": card.ppl_ratio,
        "diverging": diverging(one, rows[PLAIN], prompts) if PLAIN in rows and name != PLAIN else "",
        "prepare_s": made.get("s"),
        "load_s": one.load_s,
        "said": one.said,
        "ttft_ratio": statistics.median(one.ttft_ratios),
    }


def table(lines: list[dict[str, Any]]) -> list[str]:
    """For people."""
    text = [
        f"| engine | mean KLD | 99 % | same top | PPL ratio | differs from {PLAIN} | turn {TURNS} / 1 TTFT "
        "| prepare s | load s | it says | device GB before, after |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        prepare = f"{line['prepare_s']:.0f}" if line["prepare_s"] else "–"
        text.append(
            f"| {line['engine']} | {line['mean_kld']:.5f} | {line['kld_99']:.5f} | {line['same_top']:.1%} "
            f"| {line['ppl_ratio']:.4f} | {line['diverging'] or '–'} | {line['ttft_ratio']:.2f} | {prepare} "
            f"| {line['load_s']:.1f} | {'; '.join(line['said']) or '–'} "
            f"| {line['before'] / 1e9:.2f}, {line['after'] / 1e9:.2f} |"
        )
    return text


def versions() -> str:
    """What it was measured with."""
    packages = {name: version(name) for name in ("torch", "transformers", "torchao")}
    return f"python {platform.python_version()}, {packages}"


if __name__ == "__main__":
    main()
