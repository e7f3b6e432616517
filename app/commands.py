"""The commands of the palette as one table: title, help and action."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from textual.app import App, SystemCommand
from textual.screen import Screen


@dataclass(frozen=True)
class Command:
    """One line of the palette."""

    title: str
    help: str
    action: str
    """As in a binding: `app.` for the app's actions, `screen.` for those of the current screen."""

    def is_available(self, screen: type[Screen[Any]]) -> bool:
        """Return whether the app has the action, or this kind of screen."""
        owner, _, name = self.action.partition(".")
        return owner == "app" or hasattr(screen, f"action_{name}")


def _opens(title: str, help_text: str, screen: str) -> Command:
    return Command(title, help_text, f"app.open('{screen}')")


COMMANDS = (
    _opens("engine: Prepare engines", "Choose a checkpoint and a precision per side (F2)", "prepare"),
    _opens("engine: Backend support", "Which precisions each backend runs, and why not (F12)", "support"),
    Command(
        "engine: Measure memory bandwidth",
        "Sets the upper bound of decode speed in the estimates (F5)",
        "screen.measure",
    ),
    Command(
        "engine: Calibration text",
        "Choose the text that quantisation is calibrated with (C in a precision list)",
        "screen.calibration",
    ),
    Command("engine: Restart failed engines", "Start failed engines again (F9)", "screen.restart"),
    Command("engine: Swap sides", "Exchange left and right (Ctrl+X)", "screen.swap"),
    Command("chat: Stop answering", "Stop both answers at the next token (Esc)", "screen.stop"),
    Command("chat: Regenerate", "Answer the last prompt again (Ctrl+R)", "screen.regenerate"),
    Command("chat: Edit the last prompt", "Change it and send it again (E in a side)", "screen.edit_last"),
    Command("chat: Clear", "Start a new conversation; this one stays under F3 (Ctrl+L)", "screen.clear"),
    Command("chat: Copy last answer", "Copy it to the clipboard (Ctrl+Y)", "screen.copy"),
    Command("chat: Attach a file", "Send a text file with the prompt (Ctrl+O)", "screen.attach"),
    Command("chat: Change timing mode", "Answer in turn or together (Ctrl+T)", "screen.timing"),
    Command("view: Show or hide panels", "Speed, memory, KV cache, device (Ctrl+G)", "screen.panels"),
    _opens("chat: Conversations", "Search, reopen, rename, export, delete (F3)", "conversations"),
    Command("chat: Export conversation", "Save it as Markdown or JSON", "screen.export"),
    _opens("chat: Sampling", "System prompt, sampling and presets of each side (F4)", "sampling"),
    _opens("view: Settings", "Theme, timing, panels, context window (F6)", "settings"),
    _opens("engine: Engine store", "List and delete built engines (F8)", "store"),
    _opens("help: Help", "Keys and terms (F1)", "help"),
)


def commands(app: App[Any], screen: Screen[Any]) -> Iterable[SystemCommand]:
    """Yield the commands that are available on `screen`."""
    for command in COMMANDS:
        if command.is_available(type(screen)):
            yield SystemCommand(
                command.title, command.help, lambda action=command.action: app.run_action(action, screen)
            )
