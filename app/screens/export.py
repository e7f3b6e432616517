"""Ask for a file to export a conversation to, and write it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from textual import on, work
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from app.screens.guarded_screen import GuardedScreen
from app.state.conversation.conversation_file import Record, read_record
from app.state.conversation.export import SUFFIXES, free_path, problem, write_export
from app.state.conversation.votes import Votes
from app.state.settings.paths import document_folder
from app.state.side.side import Side
from app.terminal_text import displayable
from app.widgets.forms.confirm_twice import ConfirmTwice
from app.widgets.key_footer import KeyFooter

KINDS = {
    ".md": "Markdown, to read: what is shown, with its figures.",
    ".json": "JSON, for scripts: every version, token and setting.",
}


async def ask_and_export(app: App[Any], record: Record) -> None:
    """Let the user choose a file, write the conversation, and show its path."""
    path = await asyncio.to_thread(lambda: free_path(document_folder(), record.title))
    if written := await app.push_screen_wait(ExportScreen(record, path)):
        app.notify(f"Exported to {displayable(str(written))}", timeout=8, markup=False)


async def export_shown(app: App[Any], sides: Iterable[Side], votes: Votes, path: Path | None) -> None:
    """Export the conversation that is shown; its name is read from its file."""
    record = Record({side.name: side.conversation for side in sides}, votes=votes)
    if path:
        with contextlib.suppress(OSError):  # then the first prompt is its title
            record.name = (await asyncio.to_thread(read_record, path)).name
    await ask_and_export(app, record)


class PathInput(Input):
    """A field for a path. Up and Down, which do nothing in a single line, switch between .md and .json."""

    BINDINGS = [  # noqa: RUF012
        Binding("up", "other", "Markdown or JSON", key_display="↑↓"),
        Binding("down", "other", show=False),
    ]

    def on_mount(self) -> None:
        """Scroll to the end, which is the file's name."""
        self.cursor_position = 0  # it scrolls when the cursor moves, once it knows its width
        self.call_after_refresh(self.action_end)

    def action_other(self) -> None:
        """Switch to the other suffix."""
        path = Path(self.value)
        if path.suffix in SUFFIXES:
            self.value = str(path.with_suffix(SUFFIXES[path.suffix == SUFFIXES[0]]))
            self.cursor_position = len(self.value)


class ExportScreen(ModalScreen[Path], GuardedScreen[Path]):
    """One field over the current screen. The result is the file that was written, or None after Esc."""

    CSS_PATH = "../styles/export.tcss"
    BINDINGS = [Binding("escape", "cancel", "Cancel")]  # noqa: RUF012

    def __init__(self, record: Record, path: Path) -> None:
        super().__init__()
        self._record, self._first = record, path
        self._overwrite = ConfirmTwice(self, self._describe)

    def compose(self) -> ComposeResult:
        """The path, and below it the format or what is wrong."""
        with Vertical(id="export") as box:
            box.border_title = "Export the conversation to"
            yield PathInput(str(self._first), compact=True, select_on_focus=False)
            yield Static(KINDS[self._first.suffix], id="export-note", markup=False)
        yield KeyFooter()

    @on(Input.Changed)
    def check_path(self) -> None:
        """Show what will be written or what is wrong; an overwrite has to be confirmed again."""
        self._overwrite.reset()
        self._describe()

    @on(Input.Submitted)
    @work(group="export", exclusive=True, exit_on_error=False)
    async def write(self, event: Input.Submitted) -> None:
        """Write the file; an existing one is replaced when Enter is pressed twice."""
        if wrong := problem(event.value):
            self._say(wrong)
            return
        confirmed = self._overwrite.is_armed(event.value)
        self._overwrite.reset()
        try:
            path = await asyncio.to_thread(write_export, self._record, event.value, replace=confirmed)
        except FileExistsError:
            self._overwrite.arm(event.value)
            self._say("File exists. Press Enter again to overwrite.")
        except (OSError, RuntimeError, ValueError) as error:  # an unknown home folder, or an impossible path
            self._say(f"It cannot be written: {error}")
        else:
            self.dismiss(path)

    def action_cancel(self) -> None:
        """Close without exporting."""
        self.dismiss(None)

    def _describe(self) -> None:
        path = self.query_one(Input).value
        self._say(problem(path), KINDS.get(Path(path).suffix, ""))

    def _say(self, wrong: str, right: str = "") -> None:
        note = self.query_one("#export-note", Static)
        note.set_class(bool(wrong), "-wrong")
        note.update(displayable(wrong or right))
