"""Simulated users over openvino_genai alone: `python -m tests.benchmarks.load_client DIRECTORY`.

Imports nothing of the app. Each line on stdin is a request with `users`, `requests`, `prompts` (token ids),
`max_tokens`, `blocks` and `properties`; the reply on stdout has the figures.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import numpy as np
import openvino
import openvino_genai as genai

from tests.benchmarks.load_figures import load_figures

WARM_UP = 64


def main() -> None:
    """Measure until stdin ends."""
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # native libraries print
    for line in sys.stdin:
        print(json.dumps(measure(sys.argv[1], json.loads(line))), file=replies)


def measure(directory: str, request: dict[str, Any]) -> dict[str, float]:
    """Let the users ask, each its next prompt as soon as its answer is complete."""
    scheduler = genai.SchedulerConfig()
    scheduler.num_kv_blocks, scheduler.max_num_batched_tokens = request["blocks"], 256
    scheduler.enable_prefix_caching = False
    pipeline = genai.ContinuousBatchingPipeline(directory, scheduler, "CPU", request["properties"])
    run(pipeline, 1, 1, [[0] * WARM_UP], 1)
    return run(pipeline, request["users"], request["requests"], request["prompts"], request["max_tokens"])


def run(
    pipeline: Any, users: int, requests: int, prompts: list[list[int]], max_tokens: int
) -> dict[str, float]:
    """Return the figures of the users' requests."""
    config = genai.GenerationConfig()
    config.max_new_tokens, config.ignore_eos = max_tokens, True
    config.set_eos_token_id(0)
    stamps: list[list[float]] = []
    handles: dict[int, Any] = {}

    def arrive() -> None:
        number = len(stamps)
        stamps.append([time.perf_counter()])
        ids = openvino.Tensor(np.array([prompts[number % len(prompts)]], np.int64))
        handles[number] = pipeline.add_request(number, ids, config)

    for _ in range(users):
        arrive()
    while handles:
        pipeline.step()
        now = time.perf_counter()
        for number, handle in list(handles.items()):
            while handle.can_read():
                for output in handle.read().values():
                    stamps[number] += [now] * len(output.generated_ids)
            if handle.get_status() != genai.GenerationStatus.RUNNING:
                del handles[number]
                if len(stamps) < requests:
                    arrive()
    return load_figures(stamps)


if __name__ == "__main__":
    main()
