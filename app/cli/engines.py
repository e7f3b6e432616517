"""`trt-playground engines`: the engine store without the screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import completion
from app.cli.common_options import CHECKPOINT, CONTEXT
from app.cli.output import echo, one_line

if TYPE_CHECKING:
    from engines.build.store import EngineStore
    from engines.build.stored_engine import StoredEngine, StoreEntry

Fingerprint = Annotated[
    str,
    typer.Argument(
        help="As `engines ls` prints it, or its first digits.", autocompletion=completion.built_engines
    ),
]
engines = typer.Typer(
    help="""The engine store: what has been built.

    Examples:
      trt-playground engines ls
      trt-playground engines build --engine tensorrt:fp16 --for sm89
      trt-playground engines inspect 0c4d
      trt-playground engines prune --keep 20GB
    """,
    no_args_is_help=True,
)


@engines.command("ls")
def list_engines() -> None:
    """List the engines in the store, and what this release cannot read of it.

    Examples:
      trt-playground engines ls
    """
    for line in engine_lines(_store()):
        echo(line)


@engines.command("build")
def build_engine(
    engine: Annotated[
        str,
        typer.Option(help="Engine as BACKEND:PRECISION.", autocompletion=completion.engines),
    ],
    checkpoint: Annotated[str, CHECKPOINT] = "demo",
    context: Annotated[int, CONTEXT] = 2048,
    target: Annotated[
        str | None,
        typer.Option(
            "--for",
            help="GPU architecture to build a TensorRT engine for, such as sm86 (RTX 30), sm89 (RTX 40) or "
            "sm120 (RTX 50); default: that of this machine's GPU.",
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="Text to calibrate with: UTF-8, or JSONL with a `text` field. OpenVINO int4 and int4-awq "
            "(more accurate, slower) use built-in texts otherwise; `none` rounds int4 without calibration. "
            "TensorRT int8: optional."
        ),
    ] = None,
) -> None:
    """Build an engine without loading it: also for a GPU that this machine does not have.

    Examples:
      trt-playground engines build --engine openvino:int4
      trt-playground engines build --engine openvino:int4 --calibration prompts.jsonl
      trt-playground engines build --engine openvino:int4 --calibration none
      trt-playground engines build -m demo --engine tensorrt:fp16 --for sm89
      trt-playground engines build --engine tensorrt:int8 --for sm120 --calibration texts.txt
    """
    import asyncio

    from app.cli.arguments import engine_spec, for_target
    from app.cli.build import build

    spec = for_target(engine_spec(checkpoint, engine, context, calibration), target)
    try:
        raise typer.Exit(asyncio.run(build(spec)))
    except KeyboardInterrupt:
        echo("Cancelled. Nothing was stored.", err=True)
        raise typer.Exit(130) from None


@engines.command("rm")
def remove_engine(fingerprint: Fingerprint) -> None:
    """Delete one engine, also one that is damaged or of another release.

    Examples:
      trt-playground engines rm 0c4d5e6f70c4d5e6f70c
      trt-playground engines rm 0c4d
    """
    from app.units import bytes_text

    store = _store()
    entry = _named(store, fingerprint)
    try:
        store.remove(entry)
    except OSError as error:
        echo(f"{entry.fingerprint} cannot be deleted: {error}", err=True)
        raise typer.Exit(1) from error
    echo(f"Deleted {entry.fingerprint}, {bytes_text(entry.size)}.")


@engines.command("inspect")
def inspect_stored_engine(
    fingerprint: Fingerprint,
    every: Annotated[
        bool, typer.Option("--all", help="Print every node and layer, and what was fused.")
    ] = False,
    table: Annotated[
        Path | None,
        typer.Option(
            "--csv", help="Write every node and layer to this file.", dir_okay=False, show_default=False
        ),
    ] = None,
) -> None:
    """Show what an engine is made of: versions, files, nodes and layers with precision, size and time.

    Nothing of the engine is executed. Exit code 1 if one of its files is damaged.

    Examples:
      trt-playground engines inspect 0c4d
      trt-playground engines inspect 0c4d --csv layers.csv
    """
    from app.cli.inspect import inspect_engine

    inspect_engine(_named(_store(), fingerprint), every=every, table=table)


@engines.command("verify")
def verify_engines() -> None:
    """Check that every engine's files are there and of the right size; exit code 1 if not.

    Examples:
      trt-playground engines verify
    """
    from engines.build.stored_engine import damage

    store = _store()
    problems = [
        (entry.fingerprint, f"damaged: {problem}") for entry in store.engines() if (problem := damage(entry))
    ]
    problems += [(entry.fingerprint, entry.reason) for entry in store.unreadable()]
    for name, problem in problems:
        echo(f"{name}: {problem}")
    echo(f"{len(problems)} problem{'' if len(problems) == 1 else 's'} in {store.root}")
    if problems:
        echo("Delete an engine with `trt-playground engines rm`; it is rebuilt when it is needed.")
    raise typer.Exit(1 if problems else 0)


@engines.command("prune")
def prune_engines(
    keep: Annotated[str, typer.Option(help="What may stay, such as 20GB or 500MB.")] = "20GB",
) -> None:
    """Delete engines until the rest fits: first those that this release cannot read, then the oldest.

    Examples:
      trt-playground engines prune
      trt-playground engines prune --keep 500MB
    """
    from app.units import bytes_text, parse_bytes

    limit = parse_bytes(keep)
    if limit is None:
        echo(f"{keep!r} is not a size. Write it like 20GB or 500MB.", err=True)
        raise typer.Exit(2)
    done = _store().prune(limit)
    freed = bytes_text(sum(entry.size for entry in done.removed))
    echo(f"Deleted {_count(len(done.removed))}, {freed}.")
    for problem in done.problems:
        echo(f"Not deleted: {problem}", err=True)
    raise typer.Exit(1 if done.problems else 0)


def engine_lines(store: EngineStore) -> Iterator[str]:
    """Yield a line for each engine, a line for each unreadable folder, and the total."""
    from app.units import bytes_text

    found, unreadable = store.engines(), store.unreadable()
    rows = [_row(entry) for entry in found]
    rows += [(one.fingerprint, "unreadable", bytes_text(one.size), one.reason) for one in unreadable]
    width = max((len(title) for _, title, *_ in rows), default=0)
    for fingerprint, title, size, state in rows:
        yield one_line(f"{fingerprint}  {title:<{width}}  {size:>9}  {state}")
    others = f"{len(unreadable)} unreadable and " if unreadable else ""
    total = bytes_text(sum(one.size for one in found) + sum(one.size for one in unreadable))
    yield f"{total} total: {others}{_count(len(found))} in {store.root}"


def _named(store: EngineStore, fingerprint: str) -> StoreEntry:
    """Return the entry whose fingerprint begins so.

    Raises:
        typer.Exit: there is none or more than one; that has been printed.
    """
    found = store.matching(fingerprint)
    if not found:
        echo(f"There is no engine {fingerprint}. `trt-playground engines ls` lists them.", err=True)
        raise typer.Exit(1)
    if len(found) > 1:
        names = ", ".join(entry.fingerprint for entry in found)
        echo(f"{fingerprint} could be any of {names}. Write more digits.", err=True)
        raise typer.Exit(2)
    return found[0]


def _row(entry: StoredEngine) -> tuple[str, str, str, str]:
    """Return fingerprint, title, size and state with the checkpoint."""
    from app.state.prepare.engine_titles import stored_title
    from app.units import bytes_text
    from engines.build.stored_engine import damage

    problem = damage(entry)
    state = f"damaged: {problem}" if problem else "OK"
    return (
        entry.fingerprint,
        stored_title(entry.spec),
        bytes_text(entry.size),
        f"{state}  {entry.spec.checkpoint}",
    )


def _count(engines: int) -> str:
    return f"{engines} engine{'' if engines == 1 else 's'}"


def _store() -> EngineStore:
    from app.state.settings.paths import engine_store
    from engines.build.store import EngineStore

    return EngineStore(engine_store())
