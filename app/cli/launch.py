"""Start the app with the saved settings and what the command line changes in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from app.cli.arguments import parse_engine, saved_settings
from app.cli.engine_options import with_options
from app.playground import Playground
from app.state.conversation.saved_conversations import saved_conversations
from app.state.settings.paths import conversation_folder, settings_file
from app.state.settings.settings import Settings


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

    def applied_to(self, settings: Settings) -> Settings:
        """Return the settings with these options.

        Raises:
            typer.BadParameter: an engine is not BACKEND:PRECISION, or an option cannot be used.
        """
        changes: dict[str, object] = {}
        if self.checkpoint:
            changes["checkpoint"] = self.checkpoint
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
        return settings


def start_playground(options: LaunchOptions) -> None:
    """Run the app until the user quits.

    Raises:
        typer.BadParameter: an engine is not BACKEND:PRECISION, or an option cannot be used.
        typer.Exit: the settings file cannot be used; the reason has been printed.
    """
    in_file = saved_settings()
    saved = saved_conversations(conversation_folder()) if options.resume else []
    conversation = saved[0].path if saved else None
    Playground(options.applied_to(in_file), settings_file(), conversation, in_file).run()
