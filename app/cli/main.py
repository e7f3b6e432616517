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
from app.cli.common_options import CHECKPOINT, CONTEXT
from app.cli.conversations import conversations
from app.cli.engines import engines
from app.cli.environments import environment_commands
from app.cli.export import export
from app.cli.output import SafeGroup, echo, print_exception

cli = typer.Typer(
    name="trt-playground",
    help="""Chat with two LLM inference engines side by side and compare their speed and memory.

    Without a command, open the app in this terminal. Options override the saved settings.

    Examples:
      trt-playground
      trt-playground -m ~/models/qwen --left openvino:int4 --right pytorch:bf16
      trt-playground --continue
      trt-playground --replay 1
      trt-playground --demo --loop
    """,
    cls=SafeGroup,
    add_completion=True,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
)
_CALIBRATION = typer.Option(
    "--calibration",
    help="Text to calibrate quantised engines with: UTF-8, or JSONL with a `text` field; default: built-in "
    "texts. `none` rounds OpenVINO int4 without calibration.",
)
_GPUS = typer.Option(
    "--gpus", help="Number of GPUs to split the weights of one engine over, such as 2.", min=1
)
cli.add_typer(engines, name="engines")
cli.add_typer(conversations, name="conversations")
cli.add_typer(environment_commands, name="env")
cli.add_typer(export, name="export")


def main() -> None:
    """Run the command line; entry point of the console script."""
    if sys.argv[1:] == ["--version"]:  # before Typer builds its commands, because scripts call it
        print(f"trt-playground {version('trt-playground')}")
        return
    bash_completion.install()
    command = typer.main.get_command(cli)  # `cli()` would set its own hook
    sys.excepthook = print_exception
    command()


@cli.callback(invoke_without_command=True)
def open_playground(
    ctx: typer.Context,
    checkpoint: Annotated[str | None, CHECKPOINT] = None,
    left: Annotated[
        str | None,
        typer.Option(
            help="Engine on the left, as BACKEND:PRECISION or BACKEND:PRECISION:KV_PRECISION, "
            "such as openvino:int8; with several GPUs also its GPU: compiled:int8@cuda:1. "
            "A GGUF file is named by its path, a server by endpoint:URL.",
            autocompletion=completion.engines,
        ),
    ] = None,
    right: Annotated[
        str | None,
        typer.Option(help="Engine on the right, such as pytorch:fp32.", autocompletion=completion.engines),
    ] = None,
    context: Annotated[int | None, CONTEXT] = None,
    resume: Annotated[
        bool, typer.Option("--continue", "-c", help="Reopen the most recent conversation.")
    ] = False,
    replay: Annotated[
        str | None,
        typer.Option(
            help="Replay a saved conversation at its own pace, without any engine: its number in "
            "`conversations ls`, or a path.",
            autocompletion=completion.conversations,
        ),
    ] = None,
    demo: Annotated[
        bool,
        typer.Option(
            "--demo",
            help="Type and send suggested prompts for an audience, until a key is pressed. "
            "Changes no saved settings.",
        ),
    ] = False,
    loop: Annotated[
        bool, typer.Option("--loop", help="With --demo: begin again after the last one.")
    ] = False,
    calibration: Annotated[Path | None, _CALIBRATION] = None,
    gpus: Annotated[int | None, _GPUS] = None,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Open the app, unless a command follows."""
    if show_version:
        echo(f"trt-playground {version('trt-playground')}")
        return
    if sum((demo, resume, replay is not None)) > 1:
        raise typer.BadParameter("Use only one of --demo, --continue and --replay.")
    if loop and not demo:
        raise typer.BadParameter("--loop needs --demo.")
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
            replay=replay,
            demo=demo,
            loop=loop,
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
        echo(f"{name.replace('_', ' '):<20} {getattr(locations, name)()}")


@cli.command()
def ask(
    question: Annotated[str, typer.Argument(help="The prompt.")],
    engine: Annotated[
        str | None,
        typer.Option(
            help="Engine as BACKEND:PRECISION or BACKEND:PRECISION:KV_PRECISION (openvino:int8; of a "
            "GGUF file llama-cpp), or a server as endpoint:URL or "
            "endpoint:URL,model=NAME,key=env:NAME,header=NAME:env:NAME.",
            autocompletion=completion.engines,
        ),
    ] = None,
    checkpoint: Annotated[str, CHECKPOINT] = "demo",
    context: Annotated[int, CONTEXT] = 2048,
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
      trt-playground ask "Hi" --engine endpoint:http://127.0.0.1:8000/v1
      trt-playground ask "Hi" --engine tensorrt-llm:fp8 --calibration texts.txt
    """
    import asyncio

    from app.cli.arguments import chat_options, engine_spec
    from app.cli.ask import run_once

    spec = engine_spec(checkpoint, engine, context, calibration, gpus)
    options = chat_options(preset, system, max_tokens=max_tokens, temperature=temperature, seed=seed)
    raise typer.Exit(asyncio.run(run_once(spec, question, options)))


@cli.command()
def compare(
    engines: Annotated[
        list[str] | None,
        typer.Argument(
            help="Engines to compare, as BACKEND:PRECISION or BACKEND:PRECISION:KV_PRECISION.",
            autocompletion=completion.engines,
        ),
    ] = None,
    checkpoint: Annotated[str, CHECKPOINT] = "demo",
    reference: Annotated[
        str | None,
        typer.Option(
            help="The engine to compare with (default: pytorch:fp32; of a GGUF file its dequantised form).",
            autocompletion=completion.engines,
        ),
    ] = None,
    text: Annotated[
        Path | None,
        typer.Option(help="Text file to compare over (default: prose, code and a chat that ship)."),
    ] = None,
    context: Annotated[int, typer.Option(help="Tokens of a text that are compared at most.", min=16)] = 4096,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the report: comparison.json, .csv, .md and .html."),
    ] = None,
    saved: Annotated[
        Path | None,
        typer.Option("--open", help="Print a saved comparison.json instead; needs no engine."),
    ] = None,
) -> None:
    """Compare what precisions do to a model: KL divergence, perplexity, same top token, size and speed.

    Builds what is missing, and has one engine in memory at a time. What is finished is kept: after Ctrl+C the
    same command continues with the next engine.

    Examples:
      trt-playground compare openvino:int8 openvino:int4
      trt-playground compare openvino:int8 pytorch:bf16 -m ~/models/smollm2 --out report
      trt-playground compare --open report/comparison.json
    """
    from app.cli import compare as command

    if saved is None and not engines:
        raise typer.BadParameter("Name at least one engine, such as openvino:int8.", param_hint="ENGINES")
    comparison = (
        command.read(saved) if saved else command.compare(checkpoint, reference, engines or [], text, context)
    )
    command.print_table(comparison)
    if out:
        command.write_report(comparison, out.expanduser())
        echo(f"Wrote {out}/comparison.json, .csv, .md and .html.", err=True)
    raise typer.Exit(1 if all(row.error for row in comparison.rows) else 0)


@cli.command()
def load(
    engine: Annotated[
        str,
        typer.Option(
            help="Engine as BACKEND:PRECISION, of a backend that batches requests in flight, or a server as "
            "endpoint:URL.",
            autocompletion=completion.engines,
        ),
    ] = "openvino:int8",
    checkpoint: Annotated[str, CHECKPOINT] = "demo",
    users: Annotated[
        str, typer.Option(help="Simulated users, 1 to 32; several numbers are measured one after the other.")
    ] = "1,4,16",
    requests: Annotated[int, typer.Option(help="Prompts that each user sends.", min=1, max=300)] = 3,
    max_tokens: Annotated[int, typer.Option(help="Maximum length of an answer in tokens.", min=1)] = 128,
    ignore_eos: Annotated[
        bool, typer.Option("--ignore-eos", help="Every answer has the maximum length.")
    ] = False,
    prompts: Annotated[
        Path | None, typer.Option(help="Text file with a prompt a line (default: the suggested ones).")
    ] = None,
    context: Annotated[int, CONTEXT] = 2048,
    kv_tokens: Annotated[
        int,
        typer.Option(
            help="Tokens of the KV cache that all users share; 0 for as many as they can fill. With fewer, "
            "requests wait.",
            min=0,
        ),
    ] = 0,
    gpus: Annotated[int | None, _GPUS] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Let simulated users ask one engine at once: throughput, time to first token, and who waits.

    Each user sends its next prompt as soon as its answer is complete. The prompts share no prefix cache,
    except on a server that keeps one. ≈ marks tokens that a server does not count.

    Examples:
      trt-playground load --users 1,4,16
      trt-playground load -m ~/models/qwen --engine tensorrt-llm:fp8 --users 32 --requests 10
      trt-playground load --users 16 --kv-tokens 1024
      trt-playground load --engine endpoint:http://127.0.0.1:8000/v1
    """
    import asyncio

    from app.cli import load as command
    from engines.build.server import is_remote

    spec = command.batching_spec(checkpoint, engine, context, gpus, kv_tokens)
    options = command.LoadOptions(
        users=command.user_counts(users),
        requests=requests,
        prompts=command.prompts_of(prompts, "" if is_remote(spec) else checkpoint),
        max_tokens=max_tokens,
        ignore_eos=ignore_eos,
        kv_tokens=kv_tokens,
    )
    raise typer.Exit(asyncio.run(command.run(spec, options, as_json=as_json)))


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
    measure: Annotated[
        bool,
        typer.Option(
            "--measure",
            help="Measure first how fast the CPU's 8-bit engines decode the demo, about a minute. "
            "Models then names the fastest, and an app without settings starts with it.",
        ),
    ] = False,
) -> None:
    """Print this machine's hardware, installed libraries, and which precisions each backend supports.

    Examples:
      trt-playground doctor
      trt-playground doctor --measure
      trt-playground doctor --report report.txt
    """
    if report is None:
        from app.cli.doctor import print_report

        print_report(measure=measure)
        return
    from app.cli.bug_report import write_report

    echo("Collecting diagnostics …", err=True)
    try:
        write_report(report.expanduser(), seconds)
    except FileExistsError as error:
        echo(f"{report} already exists. Choose another file name.", err=True)
        raise typer.Exit(1) from error
    except OSError as error:
        echo(f"{report} cannot be written: {error.strerror}. Choose another path.", err=True)
        raise typer.Exit(1) from error
    echo(f"Wrote {report}. Read it before you send it.")


@cli.command()
def serve(
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on. Beyond loopback, whoever has the token can use the app and read your "
            "files from other machines."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)
    ] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            help="Token that opens the page (default: a random one). The environment variable is safer: "
            "other users can read a command line.",
            envvar="TRT_PLAYGROUND_TOKEN",
        ),
    ] = None,
    no_token: Annotated[
        bool,
        typer.Option("--no-token", help="Open the page to every user of this machine; on loopback only."),
    ] = False,
    tabs: Annotated[int, typer.Option(help="Maximum number of open tabs; each has its own app.", min=1)] = 10,
    show: Annotated[bool, typer.Option("--open", help="Also open the page in the browser.")] = False,
    checkpoint: Annotated[str | None, CHECKPOINT] = None,
) -> None:
    """Serve the app to web browsers on this machine; each tab runs its own app with its own engines.

    The app opens only with the token in the printed address.

    Examples:
      trt-playground serve --open
      trt-playground serve --port 9000 -m ~/models/qwen
      trt-playground serve --host 0.0.0.0 --tabs 2
    """
    if token is not None and no_token:
        raise typer.BadParameter("Use either --token (or TRT_PLAYGROUND_TOKEN) or --no-token.")
    try:
        from app.cli.serve import serve_playground
    except ModuleNotFoundError as error:
        echo("`serve` needs an optional package. Install it:  pip install 'trt-playground[serve]'", err=True)
        raise typer.Exit(1) from error
    arguments = ["-m", checkpoint] if checkpoint else []
    serve_playground(host, port, token, not no_token, tabs, show, arguments)
