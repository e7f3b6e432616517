"""The process of one engine for `gpu_answers`: prepares it, or loads it and waits for its turn to answer."""

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
from tests.benchmarks.gpu_engine import Logged
from tests.engines.demo_prompts import PROMPTS

NEW = 64
"""Tokens of an answer to one of PROMPTS."""
TURN, REPLY, TURNS, CONVERSATIONS = 64, 16, 10, 5
"""Of the conversations: new tokens of a turn, tokens of an answer, turns, and how many are counted."""
CONTEXT = 2048
VOCABULARY = 4096
TOP = 512


class Told(Logged):
    """Keeps what the engine says of its compiling."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, line: str) -> None:
        """Kept, and said."""
        super().log(line)
        self.lines.append(line)


def sequences(tokenizer: Tokenizer) -> list[list[int]]:
    """The prompts as the engines get them."""
    return [tokenizer.prompt_ids([{"role": "user", "content": prompt}]) for prompt in PROMPTS]


def generated(backend: Backend, prompt: list[int], new: int) -> tuple[list[int], float, float]:
    """A greedy answer, its TTFT in seconds and its decode tok/s."""
    tokens: list[int] = []
    stamps: list[float] = []

    def take(some: Sequence[int]) -> None:
        stamps.append(time.perf_counter())
        tokens.extend(some)

    begun = time.perf_counter()
    backend.generate(prompt, Sampling(max_tokens=new, ignore_eos=True), frozenset(), take, lambda: False)
    return tokens, stamps[0] - begun, (len(stamps) - 1) / (stamps[-1] - stamps[0])


def conversation(backend: Backend, seed: int) -> float:
    """TTFT of the last turn over that of the first."""
    chooser = random.Random(seed)
    said: list[int] = []
    times = []
    for _ in range(TURNS):
        said += [chooser.randrange(5, VOCABULARY) for _ in range(TURN)]
        answer, ttft, _ = generated(backend, said, REPLY)
        said += answer
        times.append(ttft)
    return times[-1] / times[0]


def prepare(spec: EngineSpec, directory: Path) -> dict[str, Any]:
    """Into `directory`; returns the engine's facts and the seconds."""
    begun, backend = time.monotonic(), backend_class(spec.backend)()
    facts = backend.prepare(spec, CHECKPOINT, directory, Told())
    seconds = time.monotonic() - begun
    backend.close()
    return {"facts": facts, "s": seconds}


def load(spec: EngineSpec, directory: Path) -> tuple[Backend, dict[str, Any]]:
    """The engine, how long that took and what it said."""
    told, backend = Told(), backend_class(spec.backend)()
    begun = time.monotonic()
    backend.load(spec, CHECKPOINT, directory if BACKENDS[spec.backend].builds else None, told)
    return backend, {"load_s": time.monotonic() - begun, "said": told.lines}


def answer(backend: Backend, texts: list[list[int]]) -> dict[str, Any]:
    """Answers, how sure it was of each token, the scores of `texts`, and what conversations cost.

    Args:
        texts: of the engine that all are held against; none for that engine itself.
    """
    prompts = sequences(Tokenizer(CHECKPOINT))
    said = [generated(backend, prompt, NEW) for prompt in prompts]
    answers = [tokens for tokens, _, _ in said]
    own = [prompt + tokens for prompt, tokens in zip(prompts, answers, strict=True)]
    scores = [backend.score(text, TOP) for text in texts or own]
    return {
        "answers": answers,
        "margins": [
            [top_margin(row) for row in backend.score(text, 2).top_logprobs[len(prompt) - 1 :]]
            for prompt, text in zip(prompts, own, strict=True)
        ],
        "first_decode": said[0][2],
        "decode": statistics.median(rate for _, _, rate in said),
        "scores": [[s.logprobs, s.top_ids, s.top_logprobs] for s in scores],
        "ttft_ratios": [conversation(backend, seed) for seed in range(CONVERSATIONS + 1)][1:],
    }


def main() -> None:
    """`prepare` says a line when it is done; `answer` when it is loaded, and then for the line it reads."""
    name, device, directory, wanted = sys.argv[1:]
    backend_name, _, precision = name.partition(":")
    spec = EngineSpec(str(CHECKPOINT), backend_name, precision, device=device, context=CONTEXT)
    if wanted == "prepare":
        print(json.dumps(prepare(spec, Path(directory))), flush=True)
        return
    backend, told = load(spec, Path(directory))
    print(json.dumps(told), flush=True)
    print(json.dumps(answer(backend, json.loads(sys.stdin.readline()))), flush=True)
    backend.close()


if __name__ == "__main__":
    main()
