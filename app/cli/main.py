"""The command line. With no command it opens the playground.

Textual and everything heavy is imported inside the commands: `--version` and `--help` answer at once.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from app.cli import bash_completion, completion
from app.cli.conversations import conversations
from app.cli.engines import engines
from app.cli.environments import environment_commands

cli = typer.Typer(
    name="trt-playground",
    help="""Chat with an LLM inference engine side by side against PyTorch; without a command, on its screen.

    Examples:
      trt-playground
      trt-playground -m ~/models/qwen --left openvino:int4 --right pytorch:bf16
      trt-playground --continue
    """,
    add_completion=True,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
)
_CHECKPOINT = typer.Option(
    "--checkpoint", "-m", help="`demo`, a model folder, or a hub id.", autocompletion=completion.checkpoints
)
_CALIBRATION = typer.Option(
    "--calibration", help="Text to calibrate with, where a precision does: plain, or JSONL with `text`."
)
_GPUS = typer.Option("--gpus", help="Split the weights over so many GPUs: 1, 2, 4.", min=1)
cli.add_typer(engines, name="engines")
cli.add_typer(conversations, name="conversations")
cli.add_typer(environment_commands, name="env")


def main() -> None:
    """Entry point of the console script."""
    if sys.argv[1:] == ["--version"]:  # before Typer builds its commands: it is asked for by scripts
        print(f"trt-playground {version('trt-playground')}")
        return
    bash_completion.install()
    cli()


@cli.callback(invoke_without_command=True)
def open_playground(
    context: typer.Context,
    checkpoint: Annotated[str | None, _CHECKPOINT] = None,
    left: Annotated[
        str | None,
        typer.Option(
            help="Engine on the left as BACKEND:PRECISION, such as openvino:int8.",
            autocompletion=completion.engines,
        ),
    ] = None,
    right: Annotated[
        str | None,
        typer.Option(help="Engine on the right, such as pytorch:fp32.", autocompletion=completion.engines),
    ] = None,
    tokens: Annotated[int | None, typer.Option("--context", help="Tokens of prompt and answer.")] = None,
    go_on: Annotated[
        bool, typer.Option("--continue", "-c", help="Go on with the newest saved conversation.")
    ] = False,
    calibration: Annotated[Path | None, _CALIBRATION] = None,
    gpus: Annotated[int | None, _GPUS] = None,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    """Open the playground, or run a command."""
    if show_version:
        typer.echo(f"trt-playground {version('trt-playground')}")
        return
    if context.invoked_subcommand is None:
        from app.cli.launch import start_playground

        start_playground(checkpoint, left, right, tokens, go_on, calibration, gpus)


@cli.command()
def paths() -> None:
    """Print where settings, engines, logs and conversations are kept.

    Examples:
      trt-playground paths
    """
    from app.state.settings import paths as places

    for name in ("settings_file", "engine_store", "log_folder", "conversation_folder", "environment_folder"):
        typer.echo(f"{name.replace('_', ' '):<20} {getattr(places, name)()}")


@cli.command()
def ask(
    question: Annotated[str, typer.Argument(help="What to ask.")],
    engine: Annotated[
        str, typer.Option(help="BACKEND:PRECISION.", autocompletion=completion.engines)
    ] = "openvino:int8",
    checkpoint: Annotated[str, _CHECKPOINT] = "demo",
    tokens: Annotated[int, typer.Option("--context", help="Tokens of prompt and answer.")] = 2048,
    max_tokens: Annotated[int | None, typer.Option(help="Tokens of the answer: 512.", min=1)] = None,
    preset: Annotated[
        str, typer.Option(help="Of the Sampling screen, such as Balanced.", autocompletion=completion.presets)
    ] = "Greedy",
    system: Annotated[str | None, typer.Option(help="System prompt.")] = None,
    temperature: Annotated[float | None, typer.Option(help="0 is greedy.", min=0, max=100)] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same answer.", min=0)] = None,
    calibration: Annotated[Path | None, _CALIBRATION] = None,
    gpus: Annotated[int | None, _GPUS] = None,
) -> None:
    """Ask once, without the screen: the answer on stdout, progress and figures on stderr.

    Examples:
      trt-playground ask "What is a KV cache?" --engine openvino:int4
      trt-playground ask "Tell me a story." --preset Creative --seed 7
      trt-playground ask "Hello" --engine tensorrt-llm:int4-awq --calibration notes.txt --gpus 2
    """
    import asyncio

    from app.cli.ask import run_once
    from app.cli.launch import chat_options, engine_spec

    spec = engine_spec(checkpoint, engine, tokens, calibration, gpus)
    options = chat_options(preset, system, max_tokens=max_tokens, temperature=temperature, seed=seed)
    raise typer.Exit(asyncio.run(run_once(spec, question, options)))


@cli.command()
def doctor(
    report: Annotated[
        Path | None,
        typer.Option(help="Write a file for a bug report: this, the engines, settings and logs, no names."),
    ] = None,
    seconds: Annotated[
        float, typer.Option(help="How long an import may take, with --report.", min=1)
    ] = 120.0,
) -> None:
    """Print what this machine has and what can run on it: the first thing a bug report needs.

    Examples:
      trt-playground doctor
      trt-playground doctor --report report.txt
    """
    if report is None:
        from app.cli.doctor import print_report

        print_report()
        return
    from app.cli.bug_report import write_report

    typer.echo("Looking around …", err=True)
    try:
        write_report(report.expanduser(), seconds)
    except FileExistsError as error:
        typer.echo(f"{report} is there already. Name another file.", err=True)
        raise typer.Exit(1) from error
    except OSError as error:
        typer.echo(f"{report} cannot be written: {error.strerror}.", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"Wrote {report}. Read it before you send it.")


@cli.command()
def serve(
    host: Annotated[str, typer.Option(help="Another address than this machine's own: see the warning.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    show: Annotated[bool, typer.Option("--open", help="Open the browser too.")] = False,
    checkpoint: Annotated[str | None, _CHECKPOINT] = None,
) -> None:
    """Serve the app to a browser on this machine; every tab has its own engines.

    Examples:
      trt-playground serve --open
      trt-playground serve --port 9000 -m ~/models/qwen
    """
    try:
        from app.cli.serve import serve_playground
    except ModuleNotFoundError as error:
        typer.echo("This needs the extra `serve`:  pip install 'trt-playground[serve]'", err=True)
        raise typer.Exit(1) from error
    serve_playground(host, port, show, ["-m", checkpoint] if checkpoint else [])
