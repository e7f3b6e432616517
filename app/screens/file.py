"""Choose a file: a field for its path, and the files and folders that match it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from app.screens.guarded_screen import GuardedScreen
from app.state.settings.path_completion import MOST, PathEntry, common_prefix, matching_paths
from app.terminal_text import displayable
from app.units import count_text
from app.widgets.key_footer import KeyFooter
from app.widgets.marked_lists import MarkedOptionList

Result = TypeVar("Result")


class RefusedError(Exception):
    """The file cannot be used; the message says why."""


class FileInput(Input):
    """A field for a path, with keys for the list of matches below it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "screen.complete", "Complete", id="file.complete"),
        Binding("down", "screen.choose(1)", "Choose", key_display="↑↓", id="file.down"),
        Binding("up", "screen.choose(-1)", show=False, id="file.up"),
    ]


class FileScreen(ModalScreen[Result], GuardedScreen[Result], Generic[Result]):
    """A modal with a field and a list of matches. Returns the result of `read`, or None after Esc."""

    CSS_PATH = "../styles/file.tcss"
    BINDINGS = [Binding("escape", "cancel", "Cancel")]  # noqa: RUF012

    def __init__(self, title: str, instructions: str, path: str = "") -> None:
        """Create the screen.

        Args:
            title: What the file is used for.
            instructions: What the file must contain, and what the keys do.
            path: Initial path; empty for the working directory.
        """
        super().__init__()
        self._title, self._instructions = title, instructions
        self._initial_path = path or f"{Path.cwd()}{os.sep}"
        self._entries: list[PathEntry] = []

    def compose(self) -> ComposeResult:
        """Yield the path, the matches, and a line with instructions or an error."""
        with Vertical(id="file") as box:
            box.border_title = Content(displayable(self._title))
            yield FileInput(self._initial_path, compact=True, select_on_focus=False)
            files = MarkedOptionList(id="files", compact=True)
            files.can_focus = False  # the field handles all keys
            yield files
            yield Static(displayable(self._instructions), id="file-note", markup=False)
        yield KeyFooter()

    def read(self, path: str) -> Result:
        """Read or check the chosen file and return the result of the screen; runs in a thread.

        Raises:
            RefusedError: the file cannot be used.
        """
        raise NotImplementedError

    @property
    def folder(self) -> str:
        """The folder of the path in the field, with a trailing separator; empty if it has none."""
        return (
            self._field.value[: self._field.value.rindex(os.sep) + 1] if os.sep in self._field.value else ""
        )

    @property
    def _field(self) -> Input:
        return self.query_one(FileInput)

    @property
    def _files(self) -> OptionList:
        return self.query_one(OptionList)

    @on(Input.Changed)
    def show_matches(self, event: Input.Changed) -> None:
        """List the files and folders that match the path."""
        self._list(event.value)

    @work(group="list", exclusive=True, exit_on_error=False)
    async def _list(self, text: str) -> None:
        problem = ""
        try:
            self._entries = await asyncio.to_thread(matching_paths, text)
        except (OSError, RuntimeError, ValueError):
            self._entries, problem = [], "Folder not found, or permission denied."
        self._files.clear_options()
        self._files.add_options(Option(Content(entry.name)) for entry in self._entries)
        if len(self._entries) == MOST:
            self._show_note(
                f"{self._instructions} Only the first {count_text(MOST)} are shown; keep typing for others."
            )
        else:
            self._show_note(problem or self._instructions, is_error=bool(problem))

    def action_complete(self) -> None:
        """Complete the field to the highlighted match, or else to what all matches have in common."""
        index = self._files.highlighted
        self._set_path(
            self._entries[index].path
            if index is not None
            else common_prefix(self._field.value, self._entries)
        )

    def action_choose(self, step: int) -> None:
        """Highlight the next match, or the previous one for a negative `step`."""
        if self._files.highlighted is None:
            self._files.highlighted = 0 if step > 0 else self._files.option_count - 1
        elif step > 0:
            self._files.action_cursor_down()
        else:
            self._files.action_cursor_up()

    @on(OptionList.OptionSelected)
    def select_clicked(self, event: OptionList.OptionSelected) -> None:
        """Open a clicked folder, or use a clicked file, as Enter does."""
        self._select(self._entries[event.option_index].path)

    @on(Input.Submitted)
    def select_entered(self, event: Input.Submitted) -> None:
        """Use the highlighted match, or else the path in the field."""
        index = self._files.highlighted
        self._select(event.value if index is None else self._entries[index].path)

    def _select(self, path: str) -> None:
        if path.endswith(os.sep) and path != self._field.value:
            self._set_path(path)
        else:
            self._finish(path)

    @work(group="read", exclusive=True, exit_on_error=False)
    async def _finish(self, path: str) -> None:
        try:
            self.dismiss(await asyncio.to_thread(self.read, path))
        except RefusedError as error:
            self._show_note(str(error), is_error=True)

    def _set_path(self, path: str) -> None:
        self._field.value = path
        self._field.action_end()

    def action_cancel(self) -> None:
        """Close the screen without a file."""
        self.dismiss(None)

    def _show_note(self, text: str, *, is_error: bool = False) -> None:
        note = self.query_one("#file-note", Static)
        note.set_class(is_error, "-wrong")
        note.update(displayable(text))
