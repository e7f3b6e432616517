"""Print which families run on which backend of this CPU.

python -m tests.coverage [FAMILY ...] [--backends pytorch openvino onnxruntime]

A family is covered if an fp32 engine gives the 72 greedy tokens of transformers without a cache, which is
past every window of 32, and the mean KL divergence of int8 is below 0.01 nats, or at most half above that of
transformers with int8 weights. The checkpoints are tiny and random, with the config.json of the hub's, so
this says nothing about quality: random weights alone diverge by up to 0.1. Takes about ten seconds a family.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from tests.coverage.family import NEW_TOKENS
from tests.families import CONFIGS, FAMILIES

BACKENDS = ("pytorch", "openvino", "onnxruntime")
LARGEST_DIVERGENCE = 1e-2
LARGEST_RATIO = 1.5
SECONDS = 600
PACKAGES = ("torch", "transformers", "openvino-genai", "onnxruntime")

Finding = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    """Check the families one after the other."""
    parser = argparse.ArgumentParser(prog="python -m tests.coverage")
    parser.add_argument("families", nargs="*", metavar="FAMILY", help="all of them by default")
    parser.add_argument("--backends", nargs="+", default=list(BACKENDS))
    given = parser.parse_args(arguments)
    print(
        platform.processor() or platform.machine(),
        *(f"{name} {version(name)}" for name in PACKAGES),
        sep=", ",
    )
    print(f"\n| family | model_type | {' | '.join(given.backends)} |")
    print(f"| --- | --- |{' --- |' * len(given.backends)}")
    covered = dict.fromkeys(given.backends, 0)
    families = given.families or FAMILIES
    for name in families:
        findings = _checked(name, given.backends)
        for backend in given.backends:
            covered[backend] += _is_covered(findings[backend])
        cells = " | ".join(_cell(findings[backend]) for backend in given.backends)
        print(f"| {name} | {_model_type(name)} | {cells} |", flush=True)
    print()
    for backend, count in covered.items():
        print(f"{backend}: {count} of {len(families)} covered")


def _checked(name: str, backends: list[str]) -> dict[str, Finding]:
    """Run the check in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.coverage.family", name, *backends]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, env=environment)
    except subprocess.TimeoutExpired:
        return _all(backends, f"no result after {SECONDS} s")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        return _all(backends, f"ended with status {done.returncode}: {last}")
    found: dict[str, Finding] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _all(backends: list[str], reason: str) -> dict[str, Finding]:
    return {backend: {"reason": reason} for backend in backends}


def _is_covered(found: Finding) -> bool:
    largest = max(LARGEST_DIVERGENCE, LARGEST_RATIO * found.get("rounding", 0.0))
    return found.get("equal") == NEW_TOKENS and found.get("kl", 0.0) < largest


def _cell(found: Finding) -> str:
    plan = found.get("plan", "")
    if "equal" not in found:
        return f"{plan}: {found['reason'][:120]}"
    equal = "equal" if found["equal"] == NEW_TOKENS else f"differs at {found['equal']}"
    divergence = f", int8 KL {found['kl']:.1e} (weights {found['rounding']:.1e})" if "kl" in found else ""
    return f"{plan}: {equal}{divergence}" + (f", {found['reason'][:80]}" if "reason" in found else "")


def _model_type(name: str) -> str:
    config = CONFIGS[name]
    return str((config.get("text_config") or config).get("model_type") or config["model_type"])


if __name__ == "__main__":
    main()
