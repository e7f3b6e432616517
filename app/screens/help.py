"""Help: the keys of what has the focus, of its screen and of the app; then other screens, and terms."""

from __future__ import annotations

from collections.abc import Iterator

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Markdown, Static

from app.keys import EVERYWHERE, PARTS, Key, Part
from app.screens.guarded_screen import GuardedScreen
from app.widgets.key_footer import KeyFooter

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
KEYS_WIDTH = 23


class HelpScreen(ModalScreen[None], GuardedScreen[None]):
    """A page over the current screen, which starts with the keys of the focused widget."""

    CSS_PATH = "../styles/help.tcss"
    BINDINGS = [Binding("escape,q", "dismiss", "Close")]  # noqa: RUF012

    def __init__(self, below: Screen[object] | None = None) -> None:
        """Create the page; `below` is the screen whose focused widget is explained."""
        super().__init__()
        self._is_dialog = below is not None and below.is_modal
        focused = below.focused or below if below else None
        nodes = focused.ancestors_with_self if focused else ()
        self._explained = [node for node in nodes if isinstance(node, Widget)]

    def compose(self) -> ComposeResult:
        """Yield the keys of the focused widget and what it is, all other keys, and the terms."""
        with VerticalScroll(id="help") as page:
            page.border_title, page.border_subtitle = "Help", "↑↓ scroll · Esc closes"
            here = list(focused_parts(self._explained))
            listed: set[str] = set()
            for part in here:
                yield Static(part_lines(part, listed), classes="help-keys")
            if not self._is_dialog:
                yield Static(part_lines(EVERYWHERE, listed), classes="help-keys")
            if about := next((node.HELP for node in self._explained if node.HELP), None):
                yield Markdown(about, open_links=False, id="help-about")
            for part in PARTS:
                if part not in here:
                    yield Static(part_lines(part), classes="help-keys")
            yield Markdown(TERMS, open_links=False, id="help-text")
        yield KeyFooter()


def focused_parts(nodes: list[Widget]) -> Iterator[Part]:
    """Yield the parts of the table that belong to these widgets, in their order: the focused one is first."""
    for node in nodes:
        kinds = {kind.__name__ for kind in type(node).__mro__}
        yield from (part for part in PARTS if part.owner in kinds)


def part_lines(part: Part, listed: set[str] | None = None) -> Content:
    """Return the title of a part and one line per key.

    Args:
        listed: keys that an inner part takes for itself: they are left out, and those of this part added.
    """
    lines = [Content.styled(part.title, "bold underline")]
    for key in part.keys:
        if shown := [name for name in key.shown if listed is None or name not in listed]:
            lines.append(_line(key, shown))
            if listed is not None:
                listed.update(shown)
    return Content("\n").join(lines)


def _line(key: Key, shown: list[str]) -> Content:
    return Content.assemble((f"{', '.join(shown):<{KEYS_WIDTH}} ", "bold $text-accent"), key.does)
