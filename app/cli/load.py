"""`trt-playground load`: simulated users of one engine, as a table or as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from app.cli.arguments import engine_spec
from app.cli.output import echo
from app.cli.step_output import print_step
from app.state.conversation.suggested_prompts import suggested_prompts
from app.state.settings.paths import engine_store, log_folder
from app.units import count_text, rate_text, seconds_text
from engines.backends.registry import engine_title
from engines.build.options import refuse_single_requests
from engines.build.server import is_remote
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.compare.engine import ComparedEngine, opened
from engines.environments.start import start_worker
from engines.errors import EngineError, error_text
from engines.measure.load import LoadFigures, LoadRecord
from engines.text_file import TextFileError, read_text_file
from engines.worker import protocol
from engines.worker.load_test import MOST_USERS
from engines.worker.log_files import log_file

PROMPT_BYTES = 1 << 20


@dataclass(frozen=True)
class LoadOptions:
    """What the users do."""

    users: tuple[int, ...]
    """Numbers of users, measured one after the other."""
    requests: int
    """Of each user."""
    prompts: tuple[str, ...]
    max_tokens: int
    ignore_eos: bool = False
    kv_tokens: int = 0
    """Tokens of the KV cache; 0 for as many as all users can fill."""


COLUMNS: tuple[tuple[str, Callable[[LoadFigures], str]], ...] = (
    ("users", lambda row: str(row.users)),
    ("requests", lambda row: str(row.completed)),
    ("tokens", lambda row: f"{_about(row)}{count_text(row.tokens)}"),
    ("total", lambda row: f"{_about(row)}{rate_text(row.total_rate)}"),
    ("user p50", lambda row: f"{_about(row)}{rate_text(row.user_rate)}"),
    ("TTFT p50", lambda row: seconds_text(row.ttft_p50)),
    ("TTFT p95", lambda row: seconds_text(row.ttft_p95)),
    ("latency p95", lambda row: seconds_text(row.latency_p95)),
    ("running", lambda row: count_text(row.most_running)),
    ("waiting", lambda row: count_text(row.most_waiting)),
    ("KV blocks", lambda row: f"{count_text(row.most_blocks)} of {count_text(row.total_blocks)}"),
)
"""Heading and text of each column; `running`, `waiting` and `KV blocks` are the most that were reported."""
WIDTH = 11


def user_counts(text: str) -> tuple[int, ...]:
    """Return the numbers of `1,4,16`.

    Raises:
        typer.BadParameter: it is not a list of numbers from 1 to MOST_USERS.
    """
    try:
        counts = tuple(int(part) for part in text.split(","))
    except ValueError:
        counts = ()
    if not counts or not all(1 <= count <= MOST_USERS for count in counts):
        message = f"{text!r} is not a list of numbers from 1 to {MOST_USERS}, such as 1,4,16."
        raise typer.BadParameter(message, param_hint="--users")
    return counts


def prompts_of(file: Path | None, checkpoint: str) -> tuple[str, ...]:
    """Return the lines of the file that are not empty; without one, prompts that suit the checkpoint.

    Args:
        checkpoint: empty for what a server has.

    Raises:
        typer.BadParameter: the file cannot be read, or is empty.
    """
    if file is None:
        return suggested_prompts(checkpoint)
    try:
        text = read_text_file(str(file), PROMPT_BYTES)
    except TextFileError as error:
        raise typer.BadParameter(str(error), param_hint="--prompts") from error
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def batching_spec(
    checkpoint: str, engine: str, context: int, gpus: int | None, kv_tokens: int = 0
) -> EngineSpec:
    """Return the spec of an engine that batches requests in flight.

    Args:
        kv_tokens: as in LoadOptions.

    Raises:
        typer.BadParameter: unknown engine, one request at a time, or `kv_tokens` with a server.
    """
    spec = engine_spec(checkpoint, engine, context, gpus=gpus)
    if kv_tokens and is_remote(spec):
        message = "A server chooses the size of its KV cache itself."
        raise typer.BadParameter(message, param_hint="--kv-tokens")
    try:
        refuse_single_requests(spec.backend)
    except EngineError as error:
        raise typer.BadParameter(error_text(error), param_hint="--engine") from error
    return spec


async def run(spec: EngineSpec, options: LoadOptions, *, as_json: bool) -> int:
    """Prepare the engine, measure each number of users, and print a row for each.

    Returns:
        The exit code: 0, or 1 if the engine cannot be used or failed; the reason is on stderr.
    """
    store, log = EngineStore(engine_store()), log_file(log_folder(), "load")
    rows: list[LoadFigures] = []
    try:
        async with opened(spec, store, start_worker, log, print_step) as engine:
            spec = engine.prepared.spec  # a server has said what it is
            if not as_json:
                echo(f"{engine_title(spec)}, {options.requests} prompts each, {_answers(options)}")
                echo(_line([title for title, _ in COLUMNS]))
            for users in options.users:
                rows.append(await measure(engine, users, options))
                if not as_json:
                    echo(_line([text(rows[-1]) for _, text in COLUMNS]))
    except EngineError as error:
        echo(error_text(error), err=True)
        return 1
    if as_json:
        echo(json.dumps({"engine": engine_title(spec), "rows": [asdict(row) for row in rows]}))
    return 0


async def measure(engine: ComparedEngine, users: int, options: LoadOptions) -> LoadFigures:
    """Return the figures of one number of users.

    Raises:
        EngineError: the engine failed.
    """
    record = LoadRecord(users)

    def take(event: protocol.Event) -> None:
        if isinstance(event, protocol.InFlight):
            record.take(event, time.monotonic_ns())
        elif isinstance(event, protocol.Log):
            echo(event.line, err=True)

    await engine.load()
    sampling = protocol.Sampling(max_tokens=options.max_tokens, ignore_eos=options.ignore_eos)
    command = engine.load_test(users, users * options.requests, options.prompts, sampling, options.kv_tokens)
    await engine.run_load(command, take)
    return record.figures()


def _about(row: LoadFigures) -> str:
    return "≈ " if row.estimated else ""


def _answers(options: LoadOptions) -> str:
    return f"{'' if options.ignore_eos else 'at most '}{options.max_tokens} tokens an answer"


def _line(cells: Sequence[str]) -> str:
    return "  ".join(cell.rjust(WIDTH) for cell in cells)
