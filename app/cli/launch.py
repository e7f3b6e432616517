"""Start the app with the saved settings and what the command line changes in them."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import typer
from msgspec.structs import replace

from app.cli.arguments import parse_engine, saved_settings
from app.cli.conversations import read_conversation
from app.cli.engine_options import with_options
from app.cli.output import echo
from app.demo import DemoOptions
from app.playground import Playground
from app.state.conversation.saved_conversations import saved_conversations
from app.state.prepare.gguf_choice import gguf_choice
from app.state.settings.paths import conversation_folder, settings_file
from app.state.settings.settings import Settings

CRASH_SECONDS = 60.0
"""After an exception ended the app, its process ends after this time in any case."""


@dataclass(frozen=True)
class LaunchOptions:
    """Command line options of the app; None leaves the saved setting unchanged."""

    checkpoint: str | None = None
    left: str | None = None
    """As BACKEND:PRECISION."""
    right: str | None = None
    context: int | None = None
    """Context window in tokens."""
    resume: bool = False
    """Reopen the most recent conversation."""
    calibration: Path | None = None
    gpus: int | None = None
    replay: str | None = None
    """The conversation to replay, as its number in the list or as a path."""
    demo: bool = False
    """Play the suggested prompts."""
    loop: bool = False
    """Play them again and again."""

    def applied_to(self, settings: Settings) -> Settings:
        """Return the settings with these options.

        Raises:
            typer.BadParameter: an engine is not BACKEND:PRECISION, or an option cannot be used.
        """
        changes: dict[str, object] = {}
        if self.checkpoint:
            changes["checkpoint"] = self.checkpoint
            if choice := gguf_choice(self.checkpoint):
                changes["left"] = choice
        if self.context:
            changes["context"] = self.context
        if self.left:
            changes["left"] = parse_engine(self.left)
        if self.right:
            changes["right"] = parse_engine(self.right)
        if changes:
            settings = replace(settings, **changes, chosen=True)
        if self.calibration or self.gpus:
            left, right = with_options((settings.left, settings.right), self.calibration, self.gpus)
            settings = replace(settings, left=left, right=right, chosen=True)
        return replace(settings, chosen=True) if self.demo else settings  # a demo asks nothing first


def start_playground(options: LaunchOptions) -> None:
    """Run the app until the user quits.

    Raises:
        typer.BadParameter: an engine is not BACKEND:PRECISION, or an option cannot be used.
        typer.Exit: the settings file or the conversation to replay cannot be used, or an exception ended the
            app; the reason was printed.
    """
    in_file = saved_settings()
    saved = saved_conversations(conversation_folder()) if options.resume else []
    conversation = saved[0].path if saved else None
    replay = read_conversation(options.replay) if options.replay else None
    app = Playground(
        options.applied_to(in_file),
        None if options.demo else settings_file(),  # a demo changes no settings
        conversation,
        in_file,
        replay=replay,
        demo=DemoOptions(options.loop) if options.demo else None,
    )
    threading.Thread(target=_end_after_crash, args=[app], daemon=True).start()
    app.run()
    if unsaved := app.save_failures.text:
        echo(f"trt-playground: {unsaved}", err=True)
    if app.return_code:
        raise typer.Exit(app.return_code)


def _end_after_crash(app: Playground) -> None:
    """End the process where an exception ended the app, and something that it waits for never returns."""
    app.crashed.wait()
    time.sleep(CRASH_SECONDS)
    app.restore_terminal()
    os._exit(1)
