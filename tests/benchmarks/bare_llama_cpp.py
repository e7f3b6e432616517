"""Run a GGUF file with xllamacpp alone: `python -m tests.benchmarks.bare_llama_cpp FILE`.

Each line on stdin is a request; the reply on stdout has the times of its tokens.
"""

from __future__ import annotations

import json
import os
import sys
import time

import xllamacpp


def main() -> None:
    """Load the file and answer requests until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    parameters = xllamacpp.CommonParams()
    parameters.model.path = sys.argv[1]
    parameters.n_ctx, parameters.n_parallel, parameters.fit_params = 2048, 1, False
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = cores
    server = xllamacpp.Server(parameters)
    for line in sys.stdin:
        request = json.loads(line)
        stamps: list[int] = []
        body = {
            "prompt": request["prompt"],
            "n_predict": request["new_tokens"],
            "temperature": 0,
            "cache_prompt": False,
            "stream": True,
        }
        started = time.monotonic_ns()
        server.handle_completions(json.dumps(body), lambda _, to=stamps: to.append(time.monotonic_ns()))
        # The last event has no token.
        print(json.dumps({"started": started, "stamps": stamps[: request["new_tokens"]]}), file=answers)
    os._exit(0)


if __name__ == "__main__":
    main()
