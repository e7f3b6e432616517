"""Run benchmarks and print the machine and the results: `python -m tests.benchmarks [NAME ...] [--quick]`."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from tests.benchmarks import (
    client,
    compare_open,
    cpu_engines,
    decode,
    event_loop,
    imports,
    in_app,
    load,
    long_session,
    memory,
    prefix,
    redraw,
    reopen,
    scoring,
    start_up,
    stop,
)
from tests.benchmarks.environment import FULL, QUICK, BenchmarkEnvironment, BenchmarkError
from tests.benchmarks.machine import load_average, machine
from tests.benchmarks.table import Result

BENCHMARKS: dict[str, Callable[[BenchmarkEnvironment], Result]] = {
    "start_up": start_up.run,
    "imports": imports.run,
    "decode": decode.run,
    "cpu_engines": cpu_engines.run,
    "in_app": in_app.run,
    "event_loop": event_loop.run,
    "redraw": redraw.run,
    "memory": memory.run,
    "long_session": long_session.run,
    "stop": stop.run,
    "reopen": reopen.run,
    "prefix": prefix.run,
    "scoring": scoring.run,
    "compare_open": compare_open.run,
    "load": load.run,
    "client": client.run,
}


def main() -> None:
    """Run the named benchmarks, or all."""
    arguments = _arguments()
    host, results, failed = machine(), [], list[str]()
    print("\n".join(host.lines()), end="\n\n")
    with tempfile.TemporaryDirectory(prefix="trt-playground-bench-") as folder:
        bench = BenchmarkEnvironment(Path(folder), QUICK if arguments.quick else FULL, arguments.checkpoint)
        for name in arguments.names or BENCHMARKS:
            try:
                results.append(_measured(name, bench))
            except BenchmarkError as error:
                failed.append(name)
                print(f"## {name}\n\nnot measured: {error}\n", flush=True)
    if arguments.json:
        document = {"machine": asdict(host), "quick": arguments.quick, "results": results}
        arguments.json.write_text(json.dumps(document, indent=1), "utf-8")
    raise SystemExit(1 if failed else 0)


def _measured(name: str, bench: BenchmarkEnvironment) -> dict[str, object]:
    """Run one benchmark, print it, and return its result with the load average for the JSON file."""
    before, started = load_average(), time.monotonic()
    result = BENCHMARKS[name](bench)
    after, seconds = load_average(), time.monotonic() - started
    print("\n".join(result.lines()))
    print(f"load average before {before}, after {after}; {seconds:.0f} s\n", flush=True)
    return result.to_json() | {"load_before": before, "load_after": after, "seconds": round(seconds, 1)}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    # No `choices`: with nargs="*" argparse checks the empty default against it on Python 3.11.
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all if none")
    parser.add_argument("--quick", action="store_true", help="fewer rounds; not for reporting")
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FOLDER", help="compare engines on this checkpoint only"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures to FILE")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(BENCHMARKS):
        parser.error(f"no benchmark is named {', '.join(sorted(unknown))}")
    return arguments


if __name__ == "__main__":
    main()
