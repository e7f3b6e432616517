"""The command palette as one table: title, help, action, and the screen that has it."""

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
    """As in a binding."""
    screen: str = ""
    """Class name of the screen that has the action; empty for the app's own."""


COMMANDS = (
    Command(
        "engine: Prepare engines",
        "Choose a checkpoint and a precision for each side (F2)",
        "app.open('prepare')",
    ),
    Command(
        "engine: What runs here",
        "Every precision with every backend, and why not (F12)",
        "app.open('support')",
    ),
    Command(
        "engine: Measure memory bandwidth",
        "For the ceiling of decode speed (F5)",
        "screen.measure",
        "PrepareScreen",
    ),
    Command(
        "engine: Calibration text",
        "A file of yours that quantising is calibrated with (C in a side)",
        "screen.calibration",
        "PrepareScreen",
    ),
    Command(
        "engine: Restart failed engines", "Start dead engines again (F9)", "screen.restart", "ChatScreen"
    ),
    Command("engine: Swap sides", "Let left and right change places (Ctrl+X)", "screen.swap", "ChatScreen"),
    Command("chat: Stop answering", "End the answers within one step (Esc)", "screen.stop", "ChatScreen"),
    Command("chat: Regenerate", "Answer the last prompt again (Ctrl+R)", "screen.regenerate", "ChatScreen"),
    Command(
        "chat: Edit the last prompt", "Change it, ask again (E in a side)", "screen.edit_last", "ChatScreen"
    ),
    Command("chat: Clear", "Forget the conversation on both sides (Ctrl+L)", "screen.clear", "ChatScreen"),
    Command("chat: Copy last answer", "Copy it to the clipboard (Ctrl+Y)", "screen.copy", "ChatScreen"),
    Command(
        "chat: Attach a file", "A text file goes with the prompt (Ctrl+O)", "screen.attach", "ChatScreen"
    ),
    Command("chat: Change timing mode", "Together, or in turn (Ctrl+T)", "screen.timing", "ChatScreen"),
    Command(
        "view: Show or hide panels", "Speed, memory, KV cache, device (Ctrl+G)", "screen.panels", "ChatScreen"
    ),
    Command(
        "chat: Conversations", "Search, reopen, rename, export, delete (F3)", "app.open('conversations')"
    ),
    Command("chat: Export conversation", "As Markdown or JSON", "screen.export", "ChatScreen"),
    Command(
        "chat: Sampling", "System prompt, sampling and presets of each side (F4)", "app.open('sampling')"
    ),
    Command("view: Settings", "Theme, timing, panels, context (F6)", "app.open('settings')"),
    Command("engine: Engine store", "See and delete built engines (F8)", "app.open('store')"),
    Command("help: Help", "Keys and words (F1)", "app.open('help')"),
)


def commands(app: App[Any], screen: Screen[Any]) -> Iterable[SystemCommand]:
    """The commands that make sense on `screen`."""
    for command in COMMANDS:
        if command.screen in ("", type(screen).__name__):
            yield SystemCommand(
                command.title, command.help, lambda action=command.action: app.run_action(action, screen)
            )
