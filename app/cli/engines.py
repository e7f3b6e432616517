"""`trt-playground engines`: the engine store without the screen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import completion

if TYPE_CHECKING:
    from engines.build.store import EngineStore

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
    """List the engines in the store.

    Examples:
      trt-playground engines ls
    """
    from app.state.settings.paths import engine_store
    from engines.build.store import EngineStore

    for line in engine_lines(EngineStore(engine_store())):
        typer.echo(line)


@engines.command("rm")
def remove_engine(
    fingerprint: Annotated[
        str, typer.Argument(help="As `engines ls` prints it.", autocompletion=completion.built_engines)
    ],
) -> None:
    """Delete one engine.

    Examples:
      trt-playground engines rm 0c4d5e6f70c4d5e6f70c
    """
    from app.state.settings.paths import engine_store
    from engines.build.store import EngineStore

    store = EngineStore(engine_store())
    found = [entry for entry in store.entries() if entry.fingerprint == fingerprint]
    if not found:
        typer.echo(f"There is no engine {fingerprint}. `trt-playground engines ls` lists them.", err=True)
        raise typer.Exit(1)
    store.remove(found[0])
    typer.echo(f"Deleted {fingerprint}.")


@engines.command("verify")
def verify_engines() -> None:
    """Check that every engine's files are there and of the right size; exit code 1 if not.

    Examples:
      trt-playground engines verify
    """
    from app.state.settings.paths import engine_store
    from engines.build.store import EngineStore, damage

    store = EngineStore(engine_store())
    problems = [(entry.fingerprint, problem) for entry in store.entries() if (problem := damage(entry))]
    problems += [(folder.name, "damaged, or of another version") for folder in store.foreign()]
    for name, problem in problems:
        typer.echo(f"{name}: {problem}")
    typer.echo(f"{len(problems)} problems in {store.root}")
    raise typer.Exit(1 if problems else 0)


@engines.command("prune")
def prune_engines(
    keep: Annotated[str, typer.Option(help="What may stay, such as 20GB or 500MB.")] = "20GB",
) -> None:
    """Delete the oldest engines until the rest fits.

    Examples:
      trt-playground engines prune
      trt-playground engines prune --keep 500MB
    """
    from app.state.settings.paths import engine_store
    from app.units import bytes_text, parse_bytes
    from engines.build.store import EngineStore

    limit = parse_bytes(keep)
    if limit is None:
        typer.echo(f"{keep!r} is no size. Write it like 20GB or 500MB.", err=True)
        raise typer.Exit(2)
    removed = EngineStore(engine_store()).prune(limit)
    freed = bytes_text(sum(entry.size for entry in removed))
    typer.echo(f"Deleted {len(removed)} engines, {freed}.")


def engine_lines(store: EngineStore) -> Iterator[str]:
    """A line for each engine, and their number."""
    from app.state.prepare.engine_titles import stored_title
    from app.units import bytes_text
    from engines.build.store import damage

    entries = store.entries()
    titles = [stored_title(entry.spec) for entry in entries]
    width = max(map(len, titles), default=0)
    for entry, title in zip(entries, titles, strict=True):
        yield (
            f"{entry.fingerprint}  {title:<{width}}  {bytes_text(entry.size):>9}  "
            f"{damage(entry) or 'whole'}  {entry.spec.checkpoint}"
        )
    yield f"{len(entries)} engines in {store.root}"
