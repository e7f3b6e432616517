"""Help: every key, and the words of the panels."""

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
    ("Shift+Tab", "to what is attached: Del removes it, Enter makes a paste text again"),
    ("Esc", "stop the answers; on Prepare: cancel, or back"),
    ("Ctrl+R", "regenerate the last answer"),
    ("Ctrl+L", "clear the conversation"),
    ("Ctrl+Y", "copy the last answer"),
    ("Ctrl+T", "timing mode: in turn, or together"),
    ("Ctrl+X", "swap the sides"),
    ("Ctrl+G", "show or hide the panels"),
    ("F7", "in a panel: full screen; again, or Esc: back"),
    ("Space", "in a panel: fold it to a line, or unfold it; or click its title"),
    ("Ctrl+E", "show earlier turns of the focused side"),
    ("Tab", "to the next part of the screen; a focused side scrolls"),
    ("P, N", "in a side: mark the turn above, below; or click it"),
    ("C, B", "of that turn, or the last: copy answer, code block"),
    ("E, R", "of that turn: edit the prompt, ask again"),
    ("Left, Right", "of that turn: its older and newer versions"),
    ("T", "of that turn: show or fold what the model thought"),
    ("F2", "Prepare: choose checkpoint and precision"),
    ("F3", "conversations: search, reopen, rename, export, delete"),
    ("F4", "Sampling: system prompt, sampling, presets"),
    ("F6", "settings: theme, timing, panels, context"),
    ("F8", "the engine store"),
    ("F9", "restart a side that failed"),
    ("Ctrl+P", "command palette: everything, and the themes"),
    ("Ctrl+Q", "quit"),
)
WORDS = """\
Chat with an inference engine side by side against PyTorch, and see what a precision costs and gives.
The demo checkpoint is a **toy** of 7 million parameters: it can talk about this program, LLM inference
and quantisation, and knows little else.

* **TTFT**, time to first token: from sending the prompt to the first token. It holds the prefill.
* **ITL**, inter-token latency: the gap between one token and the next, as median (p50) and p95.
* **tok/s**: decode speed, 1 / mean ITL. The prefill is left out.
* **KV cache**: keys and values of the tokens so far. A *paged* cache is made of blocks of equal size;
  blocks that an earlier turn has filled are *reused*. PyTorch's cache is contiguous and has no blocks.
* **In turn**: one engine after the other. **Together**: both at once; they share the machine, so neither
  figure is that engine's own.
"""


class HelpScreen(ModalScreen[None]):
    """A page over the current screen."""

    CSS_PATH = "../styles/help.tcss"
    BINDINGS = [Binding("escape,f1,q", "dismiss", "Close")]  # noqa: RUF012

    def __init__(self, focused: Widget | None = None) -> None:
        """Create the page; it begins with what `focused` is."""
        super().__init__()
        nodes = focused.ancestors_with_self if focused else ()
        self._about = next((node.HELP for node in nodes if isinstance(node, Widget) and node.HELP), None)

    def compose(self) -> ComposeResult:
        """What has the focus, then the keys, then the words."""
        with VerticalScroll(id="help") as page:
            page.border_title = "trt-playground: help"
            if self._about:
                yield Markdown(self._about, open_links=False, id="help-about")
            yield Static(key_lines(), id="help-keys")
            yield Markdown(WORDS, open_links=False, id="help-text")
        yield Footer(compact=True)


def key_lines() -> Content:
    """A line a key."""
    lines = [Content.assemble((f"{key:<13}", "bold $accent"), does) for key, does in KEYS]
    return Content("\n").join(lines)
