"""Read streamed chat completions with httpx2 alone: `python -m tests.benchmarks.bare_client`.

Imports nothing of the project. Each line on stdin is a request with `url` and `body`; the reply on stdout has
when it was sent, when each token arrived (nanoseconds of the monotonic clock), and the length of the text.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import httpx2


def main() -> None:
    """Ask until stdin ends."""
    with httpx2.Client(timeout=None, trust_env=False) as client:
        for line in sys.stdin:
            request = json.loads(line)
            print(json.dumps(ask(client, request["url"], request["body"])), flush=True)


def ask(client: httpx2.Client, url: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return the times of one answer."""
    texts, stamps = list[str](), list[int]()
    started = time.monotonic_ns()
    with client.stream("POST", url, json=body) as response:
        response.raise_for_status()
        for line in response.iter_lines():
            now = time.monotonic_ns()
            if line.startswith("data: {"):
                choices = json.loads(line[6:])["choices"]
                if choices and (text := choices[0]["delta"].get("content")):
                    texts.append(text)
                    stamps.append(now)
    return {"started": started, "stamps": stamps, "characters": len("".join(texts))}


if __name__ == "__main__":
    main()
