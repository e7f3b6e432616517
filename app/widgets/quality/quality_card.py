"""The card of one engine: its figures with bars, or why it has none."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.widgets import Static

from app.state.comparison.quality_entry import EntryState, QualityEntry
from app.terminal_text import displayable
from app.widgets.panels.drawing import MUTED
from app.widgets.quality.spread import spread
from engines.build.spec import DEQUANTISED
from engines.compare.comparison import Comparison
from engines.compare.report.card import Fact, advice, facts
from engines.compare.report.table import BUSY_MARK, BUSY_NOTE, noise_note

BAR_CELLS, WIDE = 10, 64
"""Length of the bars, which are drawn where the card has at least WIDE cells."""
FULL, EMPTY = "▰", "▱"
LABEL_CELLS = 10
MISSING = "Not measured yet. Press m to measure everything that is missing."
AGAIN = "Press m to measure it again."
REFERENCE = "The reference: the other engines are compared with it."
OWN_REFERENCE = (
    "The reference: the file's own weights, dequantised. The KLD of llama.cpp is what its arithmetic adds. "
    "What was lost when the file was made is measured from the original checkpoint only."
)


class QualityCard(VerticalScroll, can_focus=False):
    """Shows the engine under the cursor of the table."""

    _shown: tuple[QualityEntry | None, Comparison | None, str] = (None, None, "")

    def compose(self) -> ComposeResult:
        """Yield the text."""
        yield Static(id="quality-card-text", markup=False)

    def show(self, entry: QualityEntry | None, comparison: Comparison | None, running: str) -> None:
        """Show an engine.

        Args:
            running: what is being done with it now; empty if nothing is.
        """
        self._shown = entry, comparison, running
        self.border_title = Content(displayable(entry.title)) if entry else ""
        self.redraw()

    @on(Resize)
    def redraw(self) -> None:
        """Draw for the size that the card has."""
        entry, comparison, running = self._shown
        text = Content("")
        if entry:
            text = _text(entry, comparison, running, self.content_size.width)
        rows = comparison.rows if comparison else ()
        drawing = spread(rows, entry.title if entry else "", self.content_size.width)
        is_measured = bool(entry and entry.state is EntryState.MEASURED)
        if drawing and is_measured and self._fits(text, drawing):
            text = Content("\n\n").join([text, drawing])
        for shown in self.query("#quality-card-text").results(Static):
            shown.update(text)

    def _fits(self, *parts: Content) -> bool:
        """Return whether the parts fit together, with an empty line between them."""
        width = max(1, self.content_size.width)
        lines = [-(-max(1, line.cell_length) // width) for part in parts for line in part.split("\n")]
        return sum(lines) + len(parts) - 1 <= self.content_size.height


def _text(entry: QualityEntry, comparison: Comparison | None, running: str, width: int) -> Content:
    blocks = [*_status(entry, running)]
    if entry.row and not entry.row.error and comparison:
        blocks.append(_figures(facts(entry.row, comparison), has_bars=width >= WIDE))
        if entry.state is EntryState.MEASURED:
            blocks += _remarks(entry, comparison)
    return Content("\n\n").join(blocks)


def _status(entry: QualityEntry, running: str) -> list[Content]:
    why = displayable(entry.why)
    if running:
        return [Content.styled(displayable(f"Measuring: {running}"), "$text-warning")]
    if entry.state is EntryState.MISSING:
        return [Content(MISSING)]
    if entry.state is EntryState.OUTDATED:
        return [Content.styled(f"Outdated: {why}. {AGAIN}", "$text-warning")]
    if entry.state is EntryState.FAILED:
        return [Content.styled(f"Failed: {why}", "$text-error"), Content(AGAIN)]
    if entry.state is EntryState.UNAVAILABLE:
        return [
            Content(f"Unavailable on this machine. {why}"),
            Content.styled("F12 lists every backend.", MUTED),
        ]
    if entry.is_reference:
        is_dequantised = entry.spec is not None and DEQUANTISED in entry.spec.options
        return [Content.styled(OWN_REFERENCE if is_dequantised else REFERENCE, MUTED)]
    return []


def _figures(found: list[Fact], *, has_bars: bool) -> Content:
    return Content("\n").join(_line(fact, has_bars=has_bars) for fact in found)


def _line(fact: Fact, *, has_bars: bool) -> Content:
    parts = [(f"{fact.label:<{LABEL_CELLS}}", MUTED), (displayable(fact.value), "bold")]
    if fact.share is not None and has_bars:
        cells = round(fact.share * BAR_CELLS)
        parts.append((f"  {FULL * cells}{EMPTY * (BAR_CELLS - cells)}", "$primary"))
    if fact.note:
        parts.append((f"  {displayable(fact.note)}", MUTED))
    return Content.assemble(*parts)


def _remarks(entry: QualityEntry, comparison: Comparison) -> list[Content]:
    assert entry.row
    found = []
    if words := advice(entry.row, comparison):
        found.append(Content(displayable(words)))
    if comparison.is_noise(entry.row):
        found.append(Content.styled(displayable(f"{noise_note(comparison)}."), MUTED))
    if any(BUSY_MARK in fact.value + fact.note for fact in facts(entry.row, comparison)):
        found.append(Content.styled(f"{BUSY_NOTE}.", MUTED))
    return found
