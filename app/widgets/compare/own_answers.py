"""What each engine wrote on its own, side by side, and the branches; they scroll together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from app.terminal_text import displayable
from app.widgets.panels.drawing import MUTED
from engines.compare.comparison import ComparedAnswer, Continuation
from engines.measure.quality import first_divergent_token

NARROWEST = 28
"""Cells of a column."""
REASONS = {"length": "cut at its length limit", "context": "cut where the context window ends"}


class TextColumn(VerticalScroll):
    """One answer."""

    def __init__(self, heading: str, text: Content) -> None:
        super().__init__()
        self.border_title = Content(displayable(heading))
        self._text = text

    def compose(self) -> ComposeResult:
        """The text."""
        yield Static(self._text)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Scroll the other columns too."""
        super().watch_scroll_y(old_value, new_value)
        if isinstance(self.parent, OwnAnswers):
            self.parent.scroll_all(new_value)


class OwnAnswers(Horizontal):
    """The reference's answer, that of each engine, and each branch; mounted once it is visible."""

    _answer: ComparedAnswer | None = None
    _mounted: ComparedAnswer | None = None

    async def show(self, answer: ComparedAnswer) -> None:
        """Show what has been answered so far."""
        self._answer = answer
        if self.display:
            await self.on_show()

    async def on_show(self) -> None:
        """Mount the columns, unless they are."""
        if self._answer is None or self._answer is self._mounted:
            return
        self._mounted = self._answer
        await self.remove_children()
        await self.mount_all(_columns(self._answer))
        self.fit()

    def on_resize(self) -> None:
        """Share the width again."""
        self.fit()

    def fit(self) -> None:
        """Share the width among the columns; too many of them get a fixed width and are scrolled."""
        self.set_class(len(self.children) * NARROWEST > self.size.width, "-crowded")

    def scroll_all(self, y: float) -> None:
        """Scroll every column to the same line."""
        for column in self.query(TextColumn):
            if column.scroll_y != y:
                column.scroll_to(y=y, animate=False, immediate=True)


def _columns(answer: ComparedAnswer) -> Iterator[TextColumn]:
    reference = answer.answer
    yield TextColumn(f"R {answer.reference.row.title}", Content(displayable("".join(reference.pieces))))
    for engine in answer.engines:
        if engine.scores:
            yield TextColumn(engine.row.title, _different(reference.pieces, reference.token_ids, engine.own))
    for branch in answer.branches:
        start = reference.pieces[: branch.position]
        text = Content.assemble(
            (displayable("".join(start)), MUTED), *_ended(branch.continuation, branch.continuation.pieces)
        )
        yield TextColumn(f"{branch.engine}, branch at token {branch.position + 1}", text)


def _different(pieces: Sequence[str], ids: Sequence[int], own: Continuation) -> Content:
    """Return an answer, muted as far as it is the reference's."""
    if own.pieces and not own.token_ids:  # a server returned text only
        text = "".join(own.pieces)
        pairs = zip("".join(pieces), text, strict=False)
        common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        return Content.assemble((displayable(text[:common]), MUTED), *_ended(own, (text[common:],)))
    index = first_divergent_token(ids, own.token_ids)
    same = len(own.pieces) if index is None else index
    return Content.assemble((displayable("".join(own.pieces[:same])), MUTED), *_ended(own, own.pieces[same:]))


def _ended(own: Continuation, pieces: Sequence[str]) -> Iterator[str | tuple[str, str]]:
    yield displayable("".join(pieces))
    if note := REASONS.get(own.reason):
        yield f" [{note}]", MUTED
