"""`trt-playground engines`: the engine store without the screen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import completion

if TYPE_CHECKING:
    from engines.build.store import EngineStore
    from engines.build.stored_engine import StoredEngine

engines = typer.Typer(
    help="""The engine store: what has been built.

    Examples:
      trt-playground engines ls
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
        typer.echo(line)


@engines.command("rm")
def remove_engine(
    fingerprint: Annotated[
        str,
        typer.Argument(
            help="As `engines ls` prints it, or its first digits.", autocompletion=completion.built_engines
        ),
    ],
) -> None:
    """Delete one engine, also one that is damaged or of another release.

    Examples:
      trt-playground engines rm 0c4d5e6f70c4d5e6f70c
      trt-playground engines rm 0c4d
    """
    from app.units import bytes_text

    store = _store()
    found = store.matching(fingerprint)
    if not found:
        typer.echo(f"There is no engine {fingerprint}. `trt-playground engines ls` lists them.", err=True)
        raise typer.Exit(1)
    if len(found) > 1:
        names = ", ".join(entry.fingerprint for entry in found)
        typer.echo(f"{fingerprint} could be any of {names}. Write more digits.", err=True)
        raise typer.Exit(2)
    try:
        store.remove(found[0])
    except OSError as error:
        typer.echo(f"{found[0].fingerprint} cannot be deleted: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"Deleted {found[0].fingerprint}, {bytes_text(found[0].size)}.")


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
        typer.echo(f"{name}: {problem}")
    typer.echo(f"{len(problems)} problem{'' if len(problems) == 1 else 's'} in {store.root}")
    if problems:
        typer.echo("Delete an engine with `trt-playground engines rm`; it is rebuilt when it is needed.")
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
        typer.echo(f"{keep!r} is not a size. Write it like 20GB or 500MB.", err=True)
        raise typer.Exit(2)
    done = _store().prune(limit)
    freed = bytes_text(sum(entry.size for entry in done.removed))
    typer.echo(f"Deleted {_count(len(done.removed))}, {freed}.")
    for problem in done.problems:
        typer.echo(f"Not deleted: {problem}", err=True)
    raise typer.Exit(1 if done.problems else 0)


def engine_lines(store: EngineStore) -> Iterator[str]:
    """Yield a line for each engine, a line for each unreadable folder, and the total."""
    from app.terminal_text import displayable
    from app.units import bytes_text

    found, unreadable = store.engines(), store.unreadable()
    rows = [_row(entry) for entry in found]
    rows += [(one.fingerprint, "unreadable", bytes_text(one.size), one.reason) for one in unreadable]
    width = max((len(title) for _, title, *_ in rows), default=0)
    for fingerprint, title, size, state in rows:
        yield displayable(f"{fingerprint}  {title:<{width}}  {size:>9}  {state}").replace("\n", " ")
    others = f"{len(unreadable)} unreadable and " if unreadable else ""
    total = bytes_text(sum(one.size for one in found) + sum(one.size for one in unreadable))
    yield f"{total} total: {others}{_count(len(found))} in {store.root}"


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
