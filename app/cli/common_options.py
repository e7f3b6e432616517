"""Options that several commands take."""

from __future__ import annotations

import typer

from app.cli import completion

CHECKPOINT = typer.Option(
    "--checkpoint",
    "-m",
    help="Model: `demo`, a folder, a GGUF file, or a Hugging Face id such as Qwen/Qwen3-0.6B.",
    autocompletion=completion.checkpoints,
)
CONTEXT = typer.Option("--context", help="Context window: tokens of prompt and answer together.")
