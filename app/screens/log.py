"""The end of a log file."""

from __future__ import annotations

from pathlib import Path

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Log

from app.screens.guarded_screen import GuardedScreen
from app.terminal_text import displayable
from app.widgets.key_footer import KeyFooter
from engines.build.off_loop import in_thread
from engines.worker.log_files import last_lines

LINES = 500
LAST_BYTES = 200_000


class LogScreen(ModalScreen[None], GuardedScreen[None]):
    """A log over the current screen, at its end."""

    CSS_PATH = "../styles/log.tcss"
    BINDINGS = [Binding("escape,q", "dismiss", "Close")]  # noqa: RUF012

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def compose(self) -> ComposeResult:
        """Yield the lines."""
        with Vertical(id="log-box") as box:
            box.border_title = displayable(self._path.name)
            box.border_subtitle = displayable(str(self._path.parent))
            yield Log(id="log-lines", max_lines=LINES)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Read the file."""
        self.read()

    @work(exclusive=True, exit_on_error=False)
    async def read(self) -> None:
        """Show the last lines, or why there are none."""
        lines = await in_thread(_lines_of, self._path)
        self.query_one(Log).write_lines([displayable(line) for line in lines])


def _lines_of(path: Path) -> list[str]:
    """Return the last lines; why it has none, as its one line."""
    try:
        return last_lines(path, LINES, LAST_BYTES) or ["The log is empty."]
    except OSError as error:
        return [f"The log cannot be read: {error.strerror or error}."]
