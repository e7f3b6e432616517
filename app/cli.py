"""The command line. With no command it opens the playground.

Textual and everything heavy is imported inside the commands: `--version` and `--help` answer at once.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from app.cli_conversations import conversations
from app.environments import environment_commands

cli = typer.Typer(
    name="trt-playground",
    help="Chat with an LLM inference engine side by side against PyTorch.",
    add_completion=True,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
)
engines = typer.Typer(help="The engine store: what has been built.", no_args_is_help=True)
cli.add_typer(engines, name="engines")
cli.add_typer(conversations, name="conversations")
cli.add_typer(environment_commands, name="env")


def main() -> None:
    """Entry point of the console script."""
    if sys.argv[1:] == ["--version"]:  # before Typer builds its commands: it is asked for by scripts
        print(f"trt-playground {version('trt-playground')}")
        return
    cli()


@cli.callback(invoke_without_command=True)
def open_playground(
    context: typer.Context,
    checkpoint: Annotated[
        str | None, typer.Option("--checkpoint", "-m", help="`demo`, a model folder, or a hub id.")
    ] = None,
    left: Annotated[
        str | None, typer.Option(help="Engine on the left as BACKEND:PRECISION, such as openvino:int8.")
    ] = None,
    right: Annotated[str | None, typer.Option(help="Engine on the right, such as pytorch:fp32.")] = None,
    tokens: Annotated[int | None, typer.Option("--context", help="Tokens of prompt and answer.")] = None,
    go_on: Annotated[
        bool, typer.Option("--continue", "-c", help="Go on with the newest saved conversation.")
    ] = False,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    """Open the playground, or run a command.

    Examples:  trt-playground  ·  trt-playground -m ~/models/qwen --left openvino:int4
    """
    if show_version:
        typer.echo(f"trt-playground {version('trt-playground')}")
        return
    if context.invoked_subcommand is None:
        from app.start import start_playground

        start_playground(checkpoint, left, right, tokens, go_on)


@engines.command("ls")
def list_engines() -> None:
    """List the engines in the store."""
    from app.state.paths import engine_store
    from app.state.side import engine_title
    from app.units import bytes_text
    from engines.build.store import EngineStore, damage

    store = EngineStore(engine_store())
    for entry in store.entries():
        typer.echo(
            f"{entry.fingerprint}  {engine_title(entry.spec):<18} {bytes_text(entry.size):>9}  "
            f"{damage(entry) or 'whole'}  {entry.spec.checkpoint}"
        )
    typer.echo(f"{len(store.entries())} engines in {store.root}")


@engines.command("rm")
def remove_engine(fingerprint: Annotated[str, typer.Argument(help="As `engines ls` prints it.")]) -> None:
    """Delete one engine."""
    from app.state.paths import engine_store
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
    """Check that every engine's files are there and of the right size; exit code 1 if not."""
    from app.state.paths import engine_store
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
    """Delete the oldest engines until the rest fits."""
    from app.state.paths import engine_store
    from app.units import bytes_text, parse_bytes
    from engines.build.store import EngineStore

    limit = parse_bytes(keep)
    if limit is None:
        typer.echo(f"{keep!r} is no size. Write it like 20GB or 500MB.", err=True)
        raise typer.Exit(2)
    removed = EngineStore(engine_store()).prune(limit)
    freed = bytes_text(sum(entry.size for entry in removed))
    typer.echo(f"Deleted {len(removed)} engines, {freed}.")


@cli.command()
def paths() -> None:
    """Print where settings, engines, logs and conversations are kept."""
    from app.state import paths as places

    for name in ("settings_file", "engine_store", "log_folder", "conversation_folder", "environment_folder"):
        typer.echo(f"{name.replace('_', ' '):<20} {getattr(places, name)()}")


@cli.command()
def ask(
    question: Annotated[str, typer.Argument(help="What to ask.")],
    engine: Annotated[str, typer.Option(help="BACKEND:PRECISION.")] = "openvino:int8",
    checkpoint: Annotated[
        str, typer.Option("--checkpoint", "-m", help="`demo`, a model folder, or a hub id.")
    ] = "demo",
    tokens: Annotated[int, typer.Option("--context", help="Tokens of prompt and answer.")] = 2048,
    max_tokens: Annotated[int | None, typer.Option(help="Tokens of the answer: 512.", min=1)] = None,
    preset: Annotated[str, typer.Option(help="Of the Sampling screen, such as Balanced.")] = "Greedy",
    system: Annotated[str | None, typer.Option(help="System prompt.")] = None,
    temperature: Annotated[float | None, typer.Option(help="0 is greedy.", min=0, max=100)] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same answer.", min=0)] = None,
) -> None:
    """Ask once, without the screen: the answer on stdout, progress and figures on stderr.

    Examples:  trt-playground ask "What is a KV cache?" --engine openvino:int4
    ·  trt-playground ask "Tell me a story." --preset Creative --seed 7
    """
    import asyncio

    from app.plain import answer
    from app.start import chat_options, engine_spec

    spec = engine_spec(checkpoint, engine, tokens)
    options = chat_options(preset, system, max_tokens=max_tokens, temperature=temperature, seed=seed)
    raise typer.Exit(asyncio.run(answer(spec, question, options)))


@cli.command()
def doctor() -> None:
    """Print what this machine has and what can run on it: the first thing a bug report needs."""
    from app.doctor import print_report

    print_report()


@cli.command()
def serve(
    host: Annotated[str, typer.Option(help="Another address than this machine's own: see the warning.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    show: Annotated[bool, typer.Option("--open", help="Open the browser too.")] = False,
    checkpoint: Annotated[
        str | None, typer.Option("--checkpoint", "-m", help="`demo`, a model folder, or a hub id.")
    ] = None,
) -> None:
    """Serve the app to a browser on this machine; every tab has its own engines.

    Examples:  trt-playground serve --open  ·  trt-playground serve --port 9000 -m ~/models/qwen
    """
    try:
        from app.serve import serve_playground
    except ModuleNotFoundError as error:
        typer.echo("This needs the extra `serve`:  pip install 'trt-playground[serve]'", err=True)
        raise typer.Exit(1) from error
    serve_playground(host, port, show, ["-m", checkpoint] if checkpoint else [])
