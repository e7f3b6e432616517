"""The commands of the palette as one table: title, help and action."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from textual.app import App, SystemCommand
from textual.screen import Screen

from app.keys import keys_of


@dataclass(frozen=True)
class Command:
    """One line of the palette."""

    title: str
    about: str
    action: str
    """As in a binding: `app.` for the app's actions, `screen.` for those of the current screen."""

    @property
    def help(self) -> str:
        """What it does, and its key."""
        keys = ", ".join(keys_of(self.action))
        return f"{self.about} ({keys})" if keys else self.about

    def is_available(self, screen: type[Screen[Any]]) -> bool:
        """Return whether the app has the action, or this kind of screen."""
        owner, _, name = self.action.partition(".")
        return owner == "app" or hasattr(screen, f"action_{name}")


def _opens(title: str, help_text: str, screen: str) -> Command:
    return Command(title, help_text, f"app.open('{screen}')")


COMMANDS = (
    _opens("go to: Models", "Choose a model and a precision per side", "models"),
    _opens("go to: Chat", "Ask both engines", "chat"),
    _opens("engine: Backend support", "Which precisions each backend runs, and why not", "support"),
    Command(
        "engine: Measure memory bandwidth",
        "Sets the upper bound of decode speed in the estimates",
        "screen.measure",
    ),
    Command(
        "engine: Calibration text",
        "Choose the text that quantisation is calibrated with",
        "screen.calibration",
    ),
    Command("engine: Restart failed engines", "Start failed engines again", "app.restart_failed"),
    Command("engine: Swap sides", "Exchange left and right", "screen.swap"),
    Command("chat: Stop answering", "Stop both answers at the next token", "screen.stop"),
    Command("chat: Regenerate", "Answer the last prompt again", "screen.regenerate"),
    Command("chat: Edit the last prompt", "Change it and send it again", "screen.edit_last"),
    Command("chat: New conversation", "This one is kept among the conversations", "app.new_conversation"),
    Command("chat: Copy last answer", "Copy it to the clipboard", "screen.copy"),
    Command("chat: Attach a file", "Send a text file with the prompt", "screen.attach"),
    Command("chat: Change timing mode", "Answer in turn or together", "screen.timing"),
    Command(
        "view: Scroll both sides together",
        "To the same place of the same turn, or each on its own",
        "screen.lock_scroll",
    ),
    Command("view: Panels, no panels, stage", "Speed, memory, KV cache, device", "screen.panels"),
    Command("view: Stage", "Both answers and large figures, for an audience", "screen.stage"),
    _opens("chat: Conversations", "Search, reopen, rename, export, delete", "conversations"),
    Command("chat: Export conversation", "Save it as Markdown or JSON", "screen.export"),
    _opens("go to: Compare", "Token by token, on the reference's answer", "compare"),
    Command("compare: Shade answers", "By the probability of each token", "screen.shade"),
    _opens("compare: Blind vote", "Which answer is better, without the names", "blind"),
    _opens("engine: Load test", "Simulated users share one engine", "load"),
    _opens("chat: Sampling", "System prompt, sampling and presets of each side", "sampling"),
    _opens("view: Settings", "Theme, timing, panels, context window", "settings"),
    Command("view: Draw again", "Write the whole screen to the terminal again", "app.redraw"),
    _opens("engine: Engine store", "List and delete built engines", "store"),
    _opens("go to: Quality", "KL divergence, size and speed of each precision", "quality"),
    _opens("help: Help", "Keys and terms", "help"),
    _opens("help: Go to", "Every screen, by one letter", "go-to"),
)


def commands(app: App[Any], screen: Screen[Any]) -> Iterable[SystemCommand]:
    """Yield the commands that are available on `screen`."""
    for command in COMMANDS:
        if command.is_available(type(screen)):
            yield SystemCommand(
                command.title, command.help, lambda action=command.action: app.run_action(action, screen)
            )
