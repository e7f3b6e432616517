"""A live turn in a pane: the prompt, the answer as it streams, and the answer's figures."""

from __future__ import annotations

from math import ceil

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Size
from textual.widgets import Markdown, Static
from textual.widgets.markdown import MarkdownStream

from app.state.conversation import Turn
from app.state.stream import TextBuffer, displayable
from app.units import count_text, rate_text, seconds_text
from app.widgets.drawing import flow

REASONS = {"stop": "ended", "length": "max tokens", "stopped": "stopped", "context": "context full"}
PROMPT_LINES, PROMPT_CHARACTERS = 8, 800
"""More of a prompt is not shown again: a pasted file would push both answers off the screen."""


class TurnView(Vertical):
    """A live turn: Markdown that grows."""

    def __init__(self, turn: Turn) -> None:
        super().__init__(classes="turn")
        self.turn = turn
        self.buffer = TextBuffer()
        self._stream: MarkdownStream | None = None

    def compose(self) -> ComposeResult:
        """Prompt, answer, figures."""
        yield Static(Content(shown_prompt(self.turn.prompt)), classes="turn-prompt")
        yield Markdown(classes="turn-answer", open_links=False)
        yield Figures(classes="turn-figures")

    async def flush(self) -> None:
        """Draw what has come since the last flush."""
        if text := self.buffer.take():
            markdown = self.query_one(Markdown)
            self._stream = self._stream or Markdown.get_stream(markdown)
            await self._stream.write(displayable(text))

    async def finish(self) -> None:
        """Draw the whole answer once more and its figures.

        A stream of fragments does not always render as the whole text does (lists can go missing), so
        the end is always one full update.
        """
        if self._stream:
            await self._stream.stop()
            self._stream = None
        self.buffer.finish(self.turn.answer)
        await self.query_one(Markdown).update(displayable(self.turn.answer))
        self.query_one(Figures).show(self.turn)


class Figures(Static):
    """The line under an answer; where it needs several, none breaks inside a figure."""

    def __init__(self, *, classes: str | None = None) -> None:
        super().__init__(classes=classes)
        self._turn: Turn | None = None

    def show(self, turn: Turn) -> None:
        """Show the figures of an answer that has ended."""
        self._turn = turn
        self.set_class(turn.error is not None, "-failed")
        self.refresh(layout=True)

    def render(self) -> Content:
        """As many lines as the present width asks for."""
        return Content(self._text(self.content_size.width))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """The lines at `width`."""
        return sum(max(1, ceil(cell_len(line) / max(1, width))) for line in self._text(width).split("\n"))

    def _text(self, width: int) -> str:
        return figures(self._turn, width) if self._turn else ""


def figures(turn: Turn, width: int) -> str:
    """Decode tok/s, TTFT, ITL, tokens, finish reason, timing mode; or what went wrong."""
    if turn.error:
        # A dead worker's hint stands on the side's card, with the buttons that do what it says.
        hint = "" if turn.error.code.startswith("worker-") else turn.error.hint
        words = f"✗ {turn.error.message} {hint}".split()
        return flow([displayable(word) for word in words], width, " ")
    timing = turn.timing
    if timing is None:
        return "stopped before it began" if turn.reason == "stopped" else "no answer"
    parts = [
        rate_text(timing.decode_rate),
        f"TTFT {seconds_text(timing.ttft)}",
        f"ITL p50 {seconds_text(timing.itl_p50)} p95 {seconds_text(timing.itl_p95)}",
        f"{count_text(timing.tokens)} token{'' if timing.tokens == 1 else 's'}",
        REASONS.get(turn.reason, turn.reason),
        turn.mode,
    ]
    if turn.cached:
        parts.append(f"{count_text(turn.cached)} of {count_text(len(turn.prompt_ids))} prompt tokens cached")
    return flow([part for part in parts if part], width)


def shown_prompt(prompt: str) -> str:
    """The prompt, or the beginning of a long one and how long it is."""
    start = "\n".join(prompt[:PROMPT_CHARACTERS].splitlines()[:PROMPT_LINES])
    if len(start) < len(prompt.rstrip()):
        start += f" … ({count_text(len(prompt))} characters)"
    return displayable(start)
