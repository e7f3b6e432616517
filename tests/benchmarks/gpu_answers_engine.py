"""The engine process of `gpu_answers`: prepare an engine, or load it and answer on request."""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engines.backends.base import Backend
from engines.backends.registry import BACKENDS, backend_class
from engines.build.spec import EngineSpec
from engines.demo import CHECKPOINT
from engines.measure.quality import top_margin
from engines.worker.protocol import Sampling
from engines.worker.tokenizer import Tokenizer
from tests.benchmarks.gpu_engine import StderrReport
from tests.engines.demo_prompts import PROMPTS

NEW = 64
"""Tokens of an answer to one of PROMPTS."""
TURN, REPLY, TURNS, CONVERSATIONS = 64, 16, 10, 5
"""New tokens per turn, tokens per answer, turns per conversation, counted conversations."""
CONTEXT = 2048
VOCABULARY = 4096
TOP = 512


class RecordingReport(StderrReport):
    """Keeps the log lines of the engine, in addition to printing them."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, line: str) -> None:
        """Print and keep the line."""
        super().log(line)
        self.lines.append(line)


def prompt_token_ids(tokenizer: Tokenizer) -> list[list[int]]:
    """Return the token ids of PROMPTS."""
    return [tokenizer.prompt_ids([{"role": "user", "content": prompt}]) for prompt in PROMPTS]


def generate(backend: Backend, prompt: list[int], new: int) -> tuple[list[int], float, float]:
    """Return a greedy answer, its TTFT in seconds and its decode tok/s."""
    tokens: list[int] = []
    stamps: list[float] = []

    def take(some: Sequence[int]) -> None:
        stamps.append(time.perf_counter())
        tokens.extend(some)

    begun = time.perf_counter()
    backend.generate(prompt, Sampling(max_tokens=new, ignore_eos=True), frozenset(), take, lambda: False)
    return tokens, stamps[0] - begun, (len(stamps) - 1) / (stamps[-1] - stamps[0])


def ttft_ratio(backend: Backend, seed: int) -> float:
    """Run a conversation; return the TTFT of the last turn / the first."""
    rng = random.Random(seed)
    tokens: list[int] = []
    times = []
    for _ in range(TURNS):
        tokens += [rng.randrange(5, VOCABULARY) for _ in range(TURN)]
        answer, ttft, _ = generate(backend, tokens, REPLY)
        tokens += answer
        times.append(ttft)
    return times[-1] / times[0]


def prepare(spec: EngineSpec, directory: Path) -> dict[str, Any]:
    """Build the engine in `directory`; return its facts and the seconds."""
    begun, backend = time.monotonic(), backend_class(spec.backend)()
    facts = backend.prepare(spec, CHECKPOINT, directory, RecordingReport())
    seconds = time.monotonic() - begun
    backend.close()
    return {"facts": facts, "s": seconds}


def load(spec: EngineSpec, directory: Path) -> tuple[Backend, dict[str, Any]]:
    """Load the engine; return it with the seconds and its log lines."""
    report, backend = RecordingReport(), backend_class(spec.backend)()
    begun = time.monotonic()
    backend.load(spec, CHECKPOINT, directory if BACKENDS[spec.backend].builds else None, report)
    return backend, {"load_s": time.monotonic() - begun, "log": report.lines}


def answer(backend: Backend, texts: list[list[int]]) -> dict[str, Any]:
    """Return answers, the margin of each token, the scores of `texts` and the TTFT ratios.

    Args:
        texts: prompts and answers of the reference, as token ids; empty for the reference itself.
    """
    prompts = prompt_token_ids(Tokenizer(CHECKPOINT))
    runs = [generate(backend, prompt, NEW) for prompt in prompts]
    answers = [tokens for tokens, _, _ in runs]
    own = [prompt + tokens for prompt, tokens in zip(prompts, answers, strict=True)]
    scores = [backend.score(text, TOP) for text in texts or own]
    return {
        "answers": answers,
        "margins": [
            [top_margin(row) for row in backend.score(text, 2).top_logprobs[len(prompt) - 1 :]]
            for prompt, text in zip(prompts, own, strict=True)
        ],
        "first_decode": runs[0][2],
        "decode": statistics.median(rate for _, _, rate in runs),
        "scores": [[s.logprobs, s.top_ids, s.top_logprobs] for s in scores],
        "ttft_ratios": [ttft_ratio(backend, seed) for seed in range(CONVERSATIONS + 1)][1:],
    }


def main() -> None:
    """Prepare and print one JSON line; or load, print one line, and answer the line on stdin with another."""
    name, device, directory, wanted = sys.argv[1:]
    backend_name, _, precision = name.partition(":")
    spec = EngineSpec(str(CHECKPOINT), backend_name, precision, device=device, context=CONTEXT)
    if wanted == "prepare":
        print(json.dumps(prepare(spec, Path(directory))), flush=True)
        return
    backend, facts = load(spec, Path(directory))
    print(json.dumps(facts), flush=True)
    print(json.dumps(answer(backend, json.loads(sys.stdin.readline()))), flush=True)
    backend.close()


if __name__ == "__main__":
    main()
