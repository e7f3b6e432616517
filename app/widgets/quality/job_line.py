"""The line below the table: what is being measured and how long it takes, or what can be done."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import Static

from app.state.comparison.quality_entry import EntryState, QualityEntry
from app.state.comparison.quality_job import QualityJob
from app.terminal_text import displayable
from app.units import clock_text, count_text, percent_text
from app.widgets.panels.drawing import MUTED, fit_pieces

BAR_CELLS, SHORT_BAR_CELLS, WIDE = 24, 10, 100
"""Length of the bar, where the line has at least WIDE cells and where it has less."""
FULL, EMPTY = "█", "░"
SERVERS = (
    "Servers are not in the table, whose precisions are built here: compare them with F5 or "
    "trt-playground compare."
)
CANCELLED = "Cancelled. What was finished is kept; m continues."


class JobLine(Static):
    """One line, asked for several times a second while engines are measured."""

    _drawn: object = None

    def show(self, job: QualityJob, entries: Sequence[QualityEntry], *, has_servers: bool) -> None:
        """Show the state of the job, or how many engines are measured.

        Args:
            has_servers: whether the user has servers, which are not in the table.
        """
        line = self._progress(job) if job.is_running else _idle(job, entries)
        if has_servers and not job.is_running:
            line = Content.assemble(line, " ", (SERVERS, MUTED))
        if (line.plain, line.spans) != self._drawn:
            self._drawn = line.plain, line.spans
            self.update(line)

    def _progress(self, job: QualityJob) -> Content:
        if job.is_cancelling:
            return Content.styled("Cancelling: the engine is being closed …", "$text-warning")
        found = job.progress
        if found is None:
            return Content.styled("◐ starting …", "$text-warning")
        width, left = max(1, self.content_size.width), job.seconds_left
        length = BAR_CELLS if width >= WIDE else SHORT_BAR_CELLS
        cells = round(job.share * length)
        pieces = [
            Content.styled(f"◐ {displayable(found.engine)}: {displayable(found.step)}", "$text-warning"),
            Content.styled(
                f"{FULL * cells}{EMPTY * (length - cells)} {percent_text(100 * job.share)}", "$primary"
            ),
            Content("" if left is None else f"about {clock_text(left)} left"),
            Content.styled("Esc cancels", MUTED),
            Content(f"{count_text(found.done)} of {count_text(found.total)} tokens" if found.total else ""),
        ]
        return fit_pieces([piece for piece in pieces if piece.plain], width)


def _idle(job: QualityJob, entries: Sequence[QualityEntry]) -> Content:
    if job.error:
        return Content.styled(displayable(f"It could not continue: {job.error}"), "$text-error")
    runs = [entry for entry in entries if entry.spec]
    measured = sum(entry.state is EntryState.MEASURED for entry in runs)
    if job.was_cancelled and measured < len(runs):
        return Content.styled(CANCELLED, "$text-warning")
    words = f"{measured} of {len(runs)} engines measured."
    return Content(f"{words} m measures what is missing." if measured < len(runs) else words)
