"""Help: all keys, and the terms used on the panels."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Footer, Markdown, Static

KEYS = (
    ("Enter", "send the prompt to both sides"),
    ("Ctrl+J", "new line in the prompt"),
    ("Up, Down", "recall earlier prompts"),
    ("Ctrl+O", "attach a text file to the prompt"),
    ("Shift+Tab", "go to the attachments: Del removes one, Enter pastes it as text"),
    ("Esc", "stop the answers; on Prepare: cancel the build, or go back"),
    ("Ctrl+R", "regenerate the last answer"),
    ("Ctrl+L", "start a new conversation; the old one stays under F3"),
    ("Ctrl+Y", "copy the last answer"),
    ("Ctrl+T", "timing mode: in turn or together"),
    ("Ctrl+X", "swap the sides"),
    ("Ctrl+G", "show or hide the panels"),
    ("F7", "in a panel: full screen; F7 or Esc goes back"),
    ("Space", "in a panel: fold it to one line, or unfold it (or click its title)"),
    ("Ctrl+E", "show earlier turns of the focused side"),
    ("Tab", "focus the next part of the screen; a focused side scrolls"),
    ("P, N", "in a side: select the previous or next turn (or click it)"),
    ("C, B", "in that turn, or the last: copy the answer, copy a code block"),
    ("E, R", "in that turn: edit the prompt, regenerate the answer"),
    ("Left, Right", "in that turn: show older or newer versions"),
    ("T", "in that turn: show or fold the reasoning"),
    ("F2", "Prepare: choose a checkpoint and precisions, build engines"),
    ("F3", "conversations: search, reopen, rename, export, delete"),
    ("F4", "Sampling: system prompt, sampling, presets"),
    ("F5", "on Prepare: measure the memory bandwidth"),
    ("F6", "settings: theme, timing, panels, context window"),
    ("F8", "engine store: list and delete built engines"),
    ("F9", "restart failed engines"),
    ("F12", "backend support: which precisions run on this machine"),
    ("Ctrl+P", "command palette: all commands and themes"),
    ("Ctrl+Q", "quit"),
)
TERMS = """\
Chat with two inference engines side by side, one of them usually PyTorch, and compare their speed and memory.
The demo checkpoint is a **toy** with 7 million parameters: it was trained on texts about this app, LLM
inference and quantisation, and knows little about other subjects.

* **TTFT**, time to first token: from sending the prompt to the first token; includes the prefill.
* **ITL**, inter-token latency: the time between one token and the next, as median (p50) and p95.
* **tok/s**: decode speed, 1 / mean ITL; excludes the prefill.
* **KV cache**: keys and values of the tokens so far. A *paged* cache consists of blocks of equal size;
  blocks that an earlier turn has filled are *cache hits*. PyTorch's cache is contiguous and has no blocks.
* **In turn**: one engine after the other. **Together**: both at the same time; they share the machine, so
  each is slower than alone.
"""


class HelpScreen(ModalScreen[None]):
    """A page over the current screen, which starts with the help text of the focused widget."""

    CSS_PATH = "../styles/help.tcss"
    BINDINGS = [Binding("escape,f1,q", "dismiss", "Close")]  # noqa: RUF012

    def __init__(self, focused: Widget | None = None) -> None:
        """Create the page; the help text is that of `focused` or its closest ancestor that has one."""
        super().__init__()
        nodes = focused.ancestors_with_self if focused else ()
        self._text = next((node.HELP for node in nodes if isinstance(node, Widget) and node.HELP), None)

    def compose(self) -> ComposeResult:
        """Yield the help text of the focused widget, all keys, and the terms."""
        with VerticalScroll(id="help") as page:
            page.border_title = "trt-playground: help"
            if self._text:
                yield Markdown(self._text, open_links=False, id="help-about")
            yield Static(key_lines(), id="help-keys")
            yield Markdown(TERMS, open_links=False, id="help-text")
        yield Footer(compact=True)


def key_lines() -> Content:
    """Return one line per key."""
    lines = [Content.assemble((f"{key:<13}", "bold $accent"), text) for key, text in KEYS]
    return Content("\n").join(lines)
