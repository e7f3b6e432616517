"""Ask where a conversation is exported to, and write it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from textual import on, work
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Footer, Input, Static

from app.state.conversation.conversation_file import Record
from app.state.conversation.export import SUFFIXES, free_path, problem, write_export
from app.state.settings.paths import document_folder
from app.state.side.pacing import displayable

KINDS = {
    ".md": "Markdown, to read: what is shown, with its figures.",
    ".json": "JSON, for programs: every version, token and setting.",
}


async def ask_and_export(app: App[Any], record: Record) -> None:
    """Let the user choose a file, and say where the conversation went."""
    path = await asyncio.to_thread(lambda: free_path(document_folder(), record.title))
    if written := await app.push_screen_wait(ExportScreen(record, path)):
        app.notify(f"Exported to {displayable(str(written))}", timeout=8, markup=False)


class PathInput(Input):
    """A field for a path. Up and Down, which mean nothing in one line, change its ending."""

    BINDINGS = [  # noqa: RUF012
        Binding("up", "other", "Markdown or JSON", key_display="↑↓"),
        Binding("down", "other", show=False),
    ]

    def on_mount(self) -> None:
        """Show the end: the file's name."""
        self.cursor_position = 0  # it scrolls when the cursor moves, once it knows its width
        self.call_after_refresh(self.action_end)

    def action_other(self) -> None:
        """The other ending."""
        path = Path(self.value)
        if path.suffix in SUFFIXES:
            self.value = str(path.with_suffix(SUFFIXES[path.suffix == SUFFIXES[0]]))
            self.cursor_position = len(self.value)


class ExportScreen(ModalScreen[Path]):
    """One field over the current screen. The result is the file that was written, or None after Esc."""

    CSS_PATH = "../styles/export.tcss"
    BINDINGS = [Binding("escape", "cancel", "Cancel")]  # noqa: RUF012

    def __init__(self, record: Record, path: Path) -> None:
        super().__init__()
        self._record, self._first = record, path
        self._replaced = ""
        """A file that is there, for which Enter was pressed once."""

    def compose(self) -> ComposeResult:
        """The path, and below it what will be written or what is wrong."""
        with Vertical(id="export") as box:
            box.border_title = "Export the conversation to"
            yield PathInput(str(self._first), compact=True, select_on_focus=False)
            yield Static(KINDS[self._first.suffix], id="export-note", markup=False)
        yield Footer(compact=True)

    @on(Input.Changed)
    def judge(self, event: Input.Changed) -> None:
        """Say what will be written."""
        self._replaced = ""
        self._say(problem(event.value), KINDS.get(Path(event.value).suffix, ""))

    @on(Input.Submitted)
    @work(group="export", exclusive=True, exit_on_error=False)
    async def write(self, event: Input.Submitted) -> None:
        """Write the file; one that is there only when Enter is pressed twice."""
        if wrong := problem(event.value):
            self._say(wrong)
            return
        try:
            path = await asyncio.to_thread(
                write_export, self._record, event.value, replace=event.value == self._replaced
            )
        except FileExistsError:
            self._replaced = event.value
            self._say("There is such a file. Enter once more replaces it.")
        except (OSError, RuntimeError, ValueError) as error:  # no such home, or a path that can be none
            self._say(f"It cannot be written: {error}")
        else:
            self.dismiss(path)

    def action_cancel(self) -> None:
        """Leave it."""
        self.dismiss(None)

    def _say(self, wrong: str, right: str = "") -> None:
        note = self.query_one("#export-note", Static)
        note.set_class(bool(wrong), "-wrong")
        note.update(displayable(wrong or right))
