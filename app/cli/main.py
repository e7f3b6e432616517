"""The command line of `trt-playground`. Without a command it opens the app.

Each command imports what it needs inside its function, because importing Textual takes a few tenths of a
second, too long for `--version`, `--help` and shell completion.
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
    help="""Chat with two LLM inference engines side by side and compare their speed and memory.

    Without a command, open the app in this terminal. Options override the saved settings.

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
    "--checkpoint",
    "-m",
    help="Model: `demo`, a folder, or a Hugging Face id such as Qwen/Qwen3-0.6B.",
    autocompletion=completion.checkpoints,
)
_CONTEXT = typer.Option("--context", help="Context window: tokens of prompt and answer together.")
_CALIBRATION = typer.Option(
    "--calibration",
    help="Text to calibrate quantised TensorRT-LLM engines with: UTF-8, or JSONL with a `text` field.",
)
_GPUS = typer.Option("--gpus", help="Number of GPUs to split a TensorRT-LLM engine over, such as 2.", min=1)
cli.add_typer(engines, name="engines")
cli.add_typer(conversations, name="conversations")
cli.add_typer(environment_commands, name="env")


def main() -> None:
    """Run the command line; entry point of the console script."""
    if sys.argv[1:] == ["--version"]:  # before Typer builds its commands, because scripts call it
        print(f"trt-playground {version('trt-playground')}")
        return
    bash_completion.install()
    cli()


@cli.callback(invoke_without_command=True)
def open_playground(
    ctx: typer.Context,
    checkpoint: Annotated[str | None, _CHECKPOINT] = None,
    left: Annotated[
        str | None,
        typer.Option(
            help="Engine on the left, as BACKEND:PRECISION or BACKEND:PRECISION:KV_PRECISION, "
            "such as openvino:int8.",
            autocompletion=completion.engines,
        ),
    ] = None,
    right: Annotated[
        str | None,
        typer.Option(help="Engine on the right, such as pytorch:fp32.", autocompletion=completion.engines),
    ] = None,
    context: Annotated[int | None, _CONTEXT] = None,
    resume: Annotated[
        bool, typer.Option("--continue", "-c", help="Reopen the most recent conversation.")
    ] = False,
    calibration: Annotated[Path | None, _CALIBRATION] = None,
    gpus: Annotated[int | None, _GPUS] = None,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Open the app, unless a command follows."""
    if show_version:
        typer.echo(f"trt-playground {version('trt-playground')}")
        return
    if ctx.invoked_subcommand is None:
        from app.cli.launch import LaunchOptions, start_playground

        options = LaunchOptions(
            checkpoint=checkpoint,
            left=left,
            right=right,
            context=context,
            resume=resume,
            calibration=calibration,
            gpus=gpus,
        )
        start_playground(options)


@cli.command()
def paths() -> None:
    """Print where settings, engines, logs, conversations and environments are stored.

    Examples:
      trt-playground paths
    """
    from app.state.settings import paths as locations

    for name in ("settings_file", "engine_store", "log_folder", "conversation_folder", "environment_folder"):
        typer.echo(f"{name.replace('_', ' '):<20} {getattr(locations, name)()}")


@cli.command()
def ask(
    question: Annotated[str, typer.Argument(help="The prompt.")],
    engine: Annotated[
        str,
        typer.Option(
            help="Engine as BACKEND:PRECISION or BACKEND:PRECISION:KV_PRECISION.",
            autocompletion=completion.engines,
        ),
    ] = "openvino:int8",
    checkpoint: Annotated[str, _CHECKPOINT] = "demo",
    context: Annotated[int, _CONTEXT] = 2048,
    max_tokens: Annotated[
        int | None,
        typer.Option(help="Maximum length of the answer in tokens (default: the preset's).", min=1),
    ] = None,
    preset: Annotated[
        str,
        typer.Option(
            help="Preset of the Sampling screen, such as Balanced.", autocompletion=completion.presets
        ),
    ] = "Greedy",
    system: Annotated[str | None, typer.Option(help="System prompt (default: the preset's).")] = None,
    temperature: Annotated[
        float | None,
        typer.Option(help="Sampling temperature; 0 is greedy (default: the preset's).", min=0, max=100),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Random seed; the same seed gives the same answer.", min=0)
    ] = None,
    calibration: Annotated[Path | None, _CALIBRATION] = None,
    gpus: Annotated[int | None, _GPUS] = None,
) -> None:
    """Answer one prompt without the app: the answer on stdout, progress and timing on stderr.

    Builds the engine on the first call and loads it from the engine store afterwards.

    Examples:
      trt-playground ask "What is a KV cache?" --engine openvino:int4
      trt-playground ask "Tell me a story." --preset Creative --seed 7
      trt-playground ask "Hi" --engine tensorrt-llm:int4-awq --gpus 2
      trt-playground ask "Hi" --engine tensorrt-llm:fp8 --calibration texts.txt
    """
    import asyncio

    from app.cli.arguments import chat_options, engine_spec
    from app.cli.ask import run_once

    spec = engine_spec(checkpoint, engine, context, calibration, gpus)
    options = chat_options(preset, system, max_tokens=max_tokens, temperature=temperature, seed=seed)
    raise typer.Exit(asyncio.run(run_once(spec, question, options)))


@cli.command()
def doctor(
    report: Annotated[
        Path | None,
        typer.Option(
            help="Write a file for a bug report instead: diagnostics, engines, settings and logs, "
            "with names and credentials redacted.",
        ),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(help="With --report: time limit for importing each environment's library.", min=1),
    ] = 120.0,
) -> None:
    """Print this machine's hardware, installed libraries, and which precisions each backend supports.

    Examples:
      trt-playground doctor
      trt-playground doctor --report report.txt
    """
    if report is None:
        from app.cli.doctor import print_report

        print_report()
        return
    from app.cli.bug_report import write_report

    typer.echo("Collecting diagnostics …", err=True)
    try:
        write_report(report.expanduser(), seconds)
    except FileExistsError as error:
        typer.echo(f"{report} already exists. Choose another file name.", err=True)
        raise typer.Exit(1) from error
    except OSError as error:
        typer.echo(f"{report} cannot be written: {error.strerror}. Choose another path.", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"Wrote {report}. Read it before you send it.")


@cli.command()
def serve(
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on. Any other than 127.0.0.1 gives other machines access to the app and "
            "your files, without a password."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8000,
    show: Annotated[bool, typer.Option("--open", help="Also open the page in the browser.")] = False,
    checkpoint: Annotated[str | None, _CHECKPOINT] = None,
) -> None:
    """Serve the app to web browsers on this machine; each tab runs its own app with its own engines.

    Examples:
      trt-playground serve --open
      trt-playground serve --port 9000 -m ~/models/qwen
    """
    try:
        from app.cli.serve import serve_playground
    except ModuleNotFoundError as error:
        typer.echo(
            "`serve` needs an optional package. Install it:  pip install 'trt-playground[serve]'", err=True
        )
        raise typer.Exit(1) from error
    serve_playground(host, port, show, ["-m", checkpoint] if checkpoint else [])
