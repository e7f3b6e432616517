"""`trt-playground export`: what was compared here, for the machines where it is to run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli import completion
from app.cli.common_options import CHECKPOINT, CONTEXT
from app.cli.output import echo

export = typer.Typer(
    help="""Export an engine to a server.

    Examples:
      trt-playground export serve deployed --engine tensorrt-llm:fp8 -m ~/models/qwen --tp 2
    """,
    no_args_is_help=True,
)


@export.callback()
def _group() -> None:
    """Make `serve` a command of its own although it is the only one."""


@export.command("serve")
def export_serve(
    folder: Annotated[Path, typer.Argument(help="New folder for the files.", show_default=False)],
    engine: Annotated[
        str,
        typer.Option(
            help="Engine as BACKEND:PRECISION or BACKEND:PRECISION:KV_PRECISION.",
            autocompletion=completion.engines,
        ),
    ] = "tensorrt-llm:bf16",
    checkpoint: Annotated[str, CHECKPOINT] = "demo",
    context: Annotated[int, CONTEXT] = 4096,
    tensor_parallel: Annotated[
        int, typer.Option("--tp", help="GPUs over which each layer is split.", min=1)
    ] = 1,
    pipeline_parallel: Annotated[
        int, typer.Option("--pp", help="Stages of layers, each on GPUs of its own.", min=1)
    ] = 1,
    requests: Annotated[int, typer.Option(help="Most requests at once.", min=1, max=4096)] = 32,
    port: Annotated[int, typer.Option(help="Port of the server.", min=1, max=65535)] = 8000,
) -> None:
    """Write what starts a server with an engine: command lines, compose file, Triton model repository.

    The weights are linked, not copied: of a quantised precision those that were prepared here. Nothing is
    started. engines/backends/tensorrt_llm/DEPLOY.md explains the files.

    Examples:
      trt-playground export serve deployed --engine tensorrt-llm:fp8 -m ~/models/qwen --tp 2 --pp 2
      trt-playground export serve deployed --engine pytorch:bf16 -m Qwen/Qwen3-0.6B --requests 64
    """
    from dataclasses import replace

    from app.cli.arguments import engine_spec
    from app.state.settings.paths import engine_store
    from engines.build.store import EngineStore
    from engines.deploy.export import export_server, served_engine
    from engines.deploy.served import ServerSize
    from engines.errors import EngineError, error_text

    spec = replace(engine_spec(checkpoint, engine, context), options={})
    size = ServerSize(requests, tensor_parallel, pipeline_parallel, port)
    try:
        names = export_server(served_engine(spec, EngineStore(engine_store()), size), folder.expanduser())
    except EngineError as error:
        echo(error_text(error), err=True)
        raise typer.Exit(1) from error
    except FileExistsError as error:
        echo(f"{folder} exists already. Choose another folder.", err=True)
        raise typer.Exit(1) from error
    except OSError as error:
        echo(f"{folder} cannot be written: {error.strerror}.", err=True)
        raise typer.Exit(1) from error
    echo(f"Wrote {', '.join(names)} in {folder}.")
    echo("The weights are linked: copy the folder to other machines with cp -rL or rsync -L.", err=True)
