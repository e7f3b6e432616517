"""One turn in a pane: the prompt, the answer as it streams, and the answer's figures."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.markdown import Markdown as RichMarkdown
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Markdown, Static
from textual.widgets.markdown import MarkdownStream

from app.state.conversation import Turn
from app.state.stream import TextBuffer, displayable
from app.units import count_text, rate_text, seconds_text

REASONS = {"stop": "ended", "length": "max tokens", "stopped": "stopped", "context": "context full"}


class TurnView(Vertical):
    """A live turn: Markdown that grows."""

    def __init__(self, turn: Turn, timing_mode: str) -> None:
        super().__init__(classes="turn")
        self.turn = turn
        self.buffer = TextBuffer()
        self._timing_mode = timing_mode
        self._stream: MarkdownStream | None = None

    def compose(self) -> ComposeResult:
        """Prompt, answer, figures."""
        yield Static(Content(displayable(self.turn.prompt)), classes="turn-prompt")
        yield Markdown(classes="turn-answer", open_links=False)
        yield Static(classes="turn-figures")

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
        self.query_one(".turn-figures", Static).update(figures(self.turn, self._timing_mode))

    def folded(self) -> FoldedTurn:
        """The same turn as a single widget: Textual's layout pays for every widget on the screen."""
        return FoldedTurn(self.turn, self._timing_mode)


class FoldedTurn(Static):
    """A finished turn in one widget."""

    def __init__(self, turn: Turn, timing_mode: str) -> None:
        super().__init__(classes="turn folded")
        self.turn = turn
        self._timing_mode = timing_mode

    def render(self) -> RenderableType:
        """Prompt, Markdown and figures, one below the other."""
        accent, muted = self.get_visual_style("turn--prompt"), self.get_visual_style("turn--figures")
        return Group(
            Text(displayable(self.turn.prompt), style=accent.rich_style),
            RichMarkdown(displayable(self.turn.answer), hyperlinks=False),
            Text(figures(self.turn, self._timing_mode).plain, style=muted.rich_style),
        )

    COMPONENT_CLASSES = {"turn--prompt", "turn--figures"}  # noqa: RUF012 - Textual's declaration


def figures(turn: Turn, timing_mode: str) -> Content:
    """The line under an answer: TTFT, decode tok/s, ITL p50/p95, tokens, finish reason, timing mode."""
    if turn.error:
        hint = f" {turn.error.hint}" if turn.error.hint else ""
        return Content.assemble((f"✗ {turn.error.message}{hint}", "$text-error"))
    timing = turn.timing
    if timing is None:
        return Content("no answer")
    parts = [
        f"TTFT {seconds_text(timing.ttft)}",
        f"{rate_text(timing.decode_rate)}",
        f"ITL p50 {seconds_text(timing.itl_p50)} p95 {seconds_text(timing.itl_p95)}",
        f"{count_text(timing.tokens)} tokens",
        REASONS.get(turn.reason, turn.reason),
    ]
    if turn.cached:
        parts.append(f"{count_text(turn.cached)} of {count_text(len(turn.prompt_ids))} prompt tokens cached")
    return Content(" · ".join([*parts, timing_mode]))
