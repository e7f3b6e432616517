"""Every key as data, for the help, the command palette, the Go-to menu and the check of the README.

The keys themselves are bound in the screens and widgets; `tests/app/test_keys.py` looks up each of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SPECIAL: Final = {
    "Esc": "escape",
    "Del": "delete",
    "?": "question_mark",
    "/": "slash",
    "[": "left_square_bracket",
    "]": "right_square_bracket",
    "=": "equals_sign",
    ",": "comma",
    ".": "full_stop",
    "+": "plus",
    "-": "minus",
    "Shift+N": "N",
}
"""Textual's names of keys that are not the shown name in small letters."""


@dataclass(frozen=True)
class Key:
    """Keys with one effect."""

    shown: tuple[str, ...]
    """As people read them; the first one is named where there is space for one."""
    does: str
    action: str = ""
    """The command of the palette with the same effect."""


@dataclass(frozen=True)
class Part:
    """The keys of a screen, or of a widget while it has the focus."""

    owner: str
    """Name of the class that binds them."""
    title: str
    keys: tuple[Key, ...]


def _key(shown: str, does: str, action: str = "") -> Key:
    return Key(tuple(shown.split(" ")), does, action)


def _opens(shown: str, does: str, screen: str) -> Key:
    return _key(shown, does, f"app.open('{screen}')")


EVERYWHERE = Part(
    "Playground",
    "Everywhere (digits and ? where no text field has the focus)",
    (
        _opens("Ctrl+S", "go to any screen, by one letter", "go-to"),
        _opens("1 Alt+1 F2", "Models: choose a model and precisions, fetch, build", "models"),
        _opens("2 Alt+2", "Chat", "chat"),
        _opens("3 Alt+3 F5", "Compare: the engines token by token", "compare"),
        _opens("4 Alt+4 F10", "Quality of each precision: KLD, perplexity, flips, size, speed", "quality"),
        _key("Ctrl+N", "new conversation; the old one stays under F3", "app.new_conversation"),
        _opens("F3", "conversations: search, reopen, rename, export, delete", "conversations"),
        _opens("F4", "sampling: system prompt, sampling, presets", "sampling"),
        _opens("F6", "settings: theme, timing, panels, context window", "settings"),
        _opens("F8", "engine store: list, inspect and delete built engines", "store"),
        _key("F9", "restart failed engines (where one has failed)", "app.restart_failed"),
        _opens("F12", "backend support: which precisions run on this machine", "support"),
        _opens("Alt+A", "blind vote: A or B, without the names", "blind"),
        _opens("Alt+L", "load test: simulated users share one engine", "load"),
        _opens("? F1", "help for what has the focus", "help"),
        _key("Ctrl+P", "command palette: all commands and themes"),
        _key("Ctrl+L", "draw the screen again", "app.redraw"),
        _key("Tab Shift+Tab", "focus the next or previous part of the screen"),
        _key("Ctrl+Q", "quit"),
    ),
)
CHAT = Part(
    "ChatScreen",
    "Chat",
    (
        _key("Esc", "stop the answers; leave an edit", "screen.stop"),
        _key("Ctrl+R", "regenerate the last answer", "screen.regenerate"),
        _key("Ctrl+T", "timing mode: in turn or together", "screen.timing"),
        _key("Ctrl+O", "attach a text file to the prompt", "screen.attach"),
        _key("Ctrl+X", "swap the sides; cuts where text is selected in the prompt", "screen.swap"),
        _key("Ctrl+Y", "copy the last answer; redoes where Ctrl+Z has undone in the prompt", "screen.copy"),
        _key(
            "Ctrl+G",
            "hide the panels; again: the stage, for an audience; again: the panels",
            "screen.panels",
        ),
    ),
)
PARTS: Final = (
    CHAT,
    Part(
        "PromptInput",
        "Prompt",
        (
            _key("Enter", "send the prompt to both sides"),
            _key("Ctrl+J Alt+Enter Shift+Enter", "new line (Shift+Enter where the terminal reports it)"),
            _key("Up Down", "recall earlier prompts, also those of earlier runs"),
            _key("Ctrl+Z", "undo; Ctrl+Y then redoes"),
        ),
    ),
    Part(
        "AttachmentItem",
        "Attachment (Shift+Tab in the prompt)",
        (_key("Del Backspace", "remove it"), _key("Enter", "turn a paste back into text")),
    ),
    Part(
        "Transcript",
        "A side (Tab, or a click)",
        (
            _key("P N", "select the previous or next turn; the keys below act on it, or on the last turn"),
            _key("C", "copy the answer"),
            _key("B", "copy the last code block"),
            _key("E", "edit the prompt and send it again"),
            _key("R", "regenerate the answer, with another seed"),
            _key("Left Right", "older or newer version"),
            _key("D", "compare the engines on it, token by token"),
            _key("V", "shade answers by the probability of their tokens", "screen.shade"),
            _key(", .", "in a shaded answer: previous or next token; its alternatives are listed"),
            _key("T", "show or fold the reasoning"),
            _key("S", "scroll both sides together, or each on its own", "screen.lock_scroll"),
            _key("Ctrl+E", "earlier turns"),
        ),
    ),
    Part("KVBlocksPanel", "KV cache", (_key("B", "show blocks or turns"),)),
    Part(
        "Panel",
        "A panel (Tab, or a click)",
        (
            _key("F7 Enter", "full screen; the same key or Esc goes back"),
            _key("Space", "fold to one line, or unfold (or click the title)"),
        ),
    ),
    Part(
        "ModelsScreen",
        "Models",
        (
            _key("Esc", "cancel a build; without one, back to the chat"),
            _key("F2", "back to the chat; builds continue"),
            _key("Ctrl+B", "build the engines, as Enter in a list does"),
            _key("F5", "measure the memory bandwidth", "screen.measure"),
            _key("S", "let a side use a server", "screen.server"),
        ),
    ),
    Part(
        "ModelList",
        "List of models",
        (
            _key("Enter", "download, build and load what *What Enter does* names, then chat"),
            _key("/", "filter the list, or name a folder or a hub id"),
            _key("D", "start the demo"),
        ),
    ),
    Part(
        "PrecisionList",
        "List of precisions",
        (
            _key("Enter", "build both engines"),
            _key("H", "show or fold the precisions that are unavailable"),
            _key("C", "choose the calibration text, where the precision needs one", "screen.calibration"),
        ),
    ),
    Part(
        "CompareScreen",
        "Compare",
        (
            _key("Esc F5", "back"),
            _key("N Shift+N", "next or previous token in whose place the engine expects another"),
            _key("Up Down", "choose an engine"),
            _key("A Del", "add an engine, remove the chosen one"),
            _key("=", "make the chosen engine the reference"),
            _key("B", "let the chosen engine continue from this token"),
            _key("F", "what each engine wrote on its own"),
            _key("V", "change the shading"),
            _key("[ ]", "previous or next prompt"),
            _key("P", "choose the prompts"),
            _key("R", "compute again"),
            _key("E O", "write a report, open one"),
        ),
    ),
    Part(
        "AnswerHeat",
        "The compared answer",
        (
            _key("Left Right", "previous or next token"),
            _key("Ctrl+Left Ctrl+Right", "ten tokens"),
            _key("Home End", "first or last token"),
        ),
    ),
    Part(
        "QualityScreen",
        "Quality",
        (
            _key("Esc", "cancel a measurement; without one, back"),
            _key("F10", "back to the chat; the measurement continues"),
            _key("M", "measure what is missing"),
            _key("S", "sort by another column"),
            _key("T", "choose the texts"),
            _key("E O", "write a report, open one"),
            _key("C", "copy the card"),
        ),
    ),
    Part(
        "QualityTable",
        "Table of precisions",
        (_key("Enter L", "load the engine on the left"), _key("R", "load the engine on the right")),
    ),
    Part(
        "BlindScreen",
        "Blind vote",
        (
            _key("Left Right", "A is better, B is better"),
            _key("T", "tie"),
            _key("B", "both bad"),
            _key("N", "later"),
            _key("U", "take the last vote back"),
            _key("R", "show the names; a vote on this pair does not count after that"),
            _key("S", "show or hide the score"),
            _key("Esc Alt+A", "back"),
        ),
    ),
    Part(
        "ConversationsScreen",
        "Conversations",
        (
            _key("/", "search"),
            _key("N", "new conversation"),
            _key("R", "rename"),
            _key("E", "export as Markdown or JSON"),
            _key("P", "replay it as it was recorded, without any engine"),
            _key("D Del", "delete; press twice"),
            _key("Down", "from the search to the list"),
            _key("Esc F3", "back"),
        ),
    ),
    Part(
        "ReplayScreen",
        "Replay",
        (
            _key("Space", "pause, or go on"),
            _key("Left Right", "previous or next prompt"),
            _key("+ =", "faster"),
            _key("-", "slower"),
            _key("Ctrl+G", "hide the header and the keys"),
            _key("Esc", "end"),
        ),
    ),
    Part("ConversationList", "List of conversations", (_key("Enter", "reopen it on both sides"),)),
    Part(
        "SamplingScreen",
        "Sampling",
        (
            _key("Ctrl+B Ctrl+T", "copy this side's options to the other side"),
            _key("Ctrl+O", "save them as a preset"),
            _key("Ctrl+R", "reset this side: no system prompt, greedy"),
            _key("Esc F4", "back"),
        ),
    ),
    Part("SettingsScreen", "Settings", (_key("Esc", "back"),)),
    Part(
        "StoreScreen",
        "Engine store",
        (
            _key("Enter I", "inspect the engine under the cursor: its nodes, layers and versions"),
            _key("D Del", "delete the engine under the cursor; press twice"),
            _key("Esc F8", "back"),
        ),
    ),
    Part(
        "InspectScreen",
        "Engine inspector",
        (
            _key("/", "search names and kinds"),
            _key("[ ]", "previous or next list"),
            _key("S", "sort: as in the file, largest weights, slowest"),
            _key("E", "export every list as CSV"),
            _key("Down", "from the search to the list"),
            _key("Esc F8", "back"),
        ),
    ),
    Part("SupportScreen", "Backend support", (_key("Esc F12", "back"),)),
    Part("MakeRoomScreen", "Not enough memory", (_key("Esc", "keep the engines that run"),)),
    Part("LogScreen", "Log", (_key("Esc Q", "close"),)),
    Part("ChooseScreen", "A list", (_key("Esc", "cancel"),)),
    Part(
        "LoadScreen",
        "Load test",
        (
            _key("Enter", "let the users ask"),
            _key("Esc", "stop all requests; when none runs, close"),
            _key("+ = -", "more or fewer users: 1, 2, 4, 8, 16, 32"),
            _key("S", "the other side's engine"),
        ),
    ),
    Part("NameScreen", "A name", (_key("Esc", "cancel"),)),
    Part("ServerScreen", "Server", (_key("Ctrl+O", "save the server under a name"), _key("Esc", "cancel"))),
    Part("SavedServers", "Saved servers", (_key("R", "rename"), _key("Del", "remove (twice)"))),
    Part("FileScreen", "A file", (_key("Esc", "cancel"),)),
    Part("FileInput", "Path", (_key("Tab", "complete the path"), _key("Up Down", "choose in the list"))),
    Part("ExportScreen", "Export", (_key("Esc", "cancel"),)),
    Part("PathInput", "Path", (_key("Up Down", "Markdown or JSON"),)),
)
"""The parts in the order of the help, from the most used one."""


@dataclass(frozen=True)
class Place:
    """A line of the Go-to menu."""

    key: str
    title: str
    does: str
    action: str
    """An action of the app, or of the screen below the menu."""


PLACES: Final = (
    Place("1", "Models", "choose, fetch, build", "app.open('models')"),
    Place("2", "Chat", "ask both engines", "app.open('chat')"),
    Place("3", "Compare", "token by token", "app.open('compare')"),
    Place("4", "Quality", "of each precision", "app.open('quality')"),
    Place("n", "New conversation", "the old one is kept", "app.new_conversation"),
    Place("c", "Conversations", "search, reopen, export", "app.open('conversations')"),
    Place("s", "Sampling", "system prompt, presets", "app.open('sampling')"),
    Place("v", "Blind vote", "which answer is better", "app.open('blind')"),
    Place("l", "Load test", "users share one engine", "app.open('load')"),
    Place("e", "Engine store", "built engines", "app.open('store')"),
    Place("b", "Backend support", "what runs here", "app.open('support')"),
    Place("t", "Settings", "themes, timing, panels", "app.open('settings')"),
    Place("m", "Measure the bandwidth", "on Models", "screen.measure"),
    Place("r", "Restart failed engines", "", "app.restart_failed"),
    Place("h", "Help", "for what has the focus", "app.open('help')"),
    Place("p", "Command palette", "everything", "app.command_palette"),
    Place("q", "Quit", "", "app.quit"),
)
"""Everything that F-keys do, for terminals that do not pass F-keys and Alt on."""
MENU_KEY: Final = "Ctrl+S"
MAIN: Final = ("models", "chat", "compare", "quality")
"""The screens of the digits, in their order."""


def textual_name(shown: str) -> str:
    """Return Textual's name of a key, such as `ctrl+n` of `Ctrl+N`."""
    return SPECIAL.get(shown, shown.lower())


def keys_of(action: str) -> list[str]:
    """Return the keys of a command of the palette that work while a text is typed: no single characters."""
    keys = (key for part in (EVERYWHERE, *PARTS) for key in part.keys if key.action == action)
    typed = [name for key in keys for name in key.shown if len(name) > 1]
    return typed[:1] + [f"{MENU_KEY} {place.key.upper()}" for place in PLACES if place.action == action]
