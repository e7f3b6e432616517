"""Choose a file: a field for its path, and what it may go on with."""

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
from textual.widgets import Footer, Input, OptionList, Static
from textual.widgets.option_list import Option

from app.state.settings.path_completion import MOST, PathEntry, common_prefix, matching_paths
from app.state.side.pacing import displayable
from app.units import count_text

Result = TypeVar("Result")


class RefusedError(Exception):
    """A file cannot be taken; the message says why."""


class FileInput(Input):
    """A field for a path; what it may go on with stands in the list below."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "screen.complete", "Complete", id="file.complete"),
        Binding("down", "screen.choose(1)", "Choose", key_display="↑↓", id="file.down"),
        Binding("up", "screen.choose(-1)", show=False, id="file.up"),
    ]


class FileScreen(ModalScreen[Result], Generic[Result]):
    """A field and a list over the current screen. The result is what the file is to us, or None after Esc."""

    CSS_PATH = "../styles/file.tcss"
    BINDINGS = [Binding("escape", "cancel", "Cancel")]  # noqa: RUF012

    def __init__(self, title: str, how: str, first: str = "") -> None:
        """Create the question.

        Args:
            title: What the file is for.
            how: What it must be, and which key does what.
            first: The path to begin with; empty for the folder where the app was started.
        """
        super().__init__()
        self._title, self._how = title, how
        self._first = first or f"{Path.cwd()}{os.sep}"
        self._entries: list[PathEntry] = []

    def compose(self) -> ComposeResult:
        """The path, what there is, and what to do or what is wrong."""
        with Vertical(id="file") as box:
            box.border_title = Content(displayable(self._title))
            yield FileInput(self._first, compact=True, select_on_focus=False)
            files = OptionList(id="files", compact=True)
            files.can_focus = False  # the field keeps the keys
            yield files
            yield Static(displayable(self._how), id="file-note", markup=False)
        yield Footer(compact=True)

    def taken(self, path: str) -> Result:
        """What becomes of the chosen file; runs in a thread.

        Raises:
            RefusedError: it cannot be taken.
        """
        raise NotImplementedError

    @property
    def folder(self) -> str:
        """Where the chosen file is, its separator at the end."""
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
    def look(self, event: Input.Changed) -> None:
        """Show what the path may go on with."""
        self._list(event.value)

    @work(group="list", exclusive=True, exit_on_error=False)
    async def _list(self, text: str) -> None:
        wrong = ""
        try:
            self._entries = await asyncio.to_thread(matching_paths, text)
        except (OSError, RuntimeError, ValueError):
            self._entries, wrong = [], "There is no such folder, or you may not look into it."
        self._files.clear_options()
        self._files.add_options(Option(Content(entry.name)) for entry in self._entries)
        if len(self._entries) == MOST:
            self._say(f"{self._how} The first {count_text(MOST)} are shown: write on.")
        else:
            self._say(wrong or self._how, wrong=bool(wrong))

    def action_complete(self) -> None:
        """Write what is chosen, or else what all have in common."""
        index = self._files.highlighted
        self._write(
            self._entries[index].path
            if index is not None
            else common_prefix(self._field.value, self._entries)
        )

    def action_choose(self, step: int) -> None:
        """Mark the next or the one before."""
        if self._files.highlighted is None:
            self._files.highlighted = 0 if step > 0 else self._files.option_count - 1
        elif step > 0:
            self._files.action_cursor_down()
        else:
            self._files.action_cursor_up()

    @on(OptionList.OptionSelected)
    def take_clicked(self, event: OptionList.OptionSelected) -> None:
        """As with Enter."""
        self._take(self._entries[event.option_index].path)

    @on(Input.Submitted)
    def take_written(self, event: Input.Submitted) -> None:
        """What is chosen, or else what is written."""
        index = self._files.highlighted
        self._take(event.value if index is None else self._entries[index].path)

    def _take(self, path: str) -> None:
        if path.endswith(os.sep) and path != self._field.value:
            self._write(path)
        else:
            self._read(path)

    @work(group="read", exclusive=True, exit_on_error=False)
    async def _read(self, path: str) -> None:
        try:
            self.dismiss(await asyncio.to_thread(self.taken, path))
        except RefusedError as error:
            self._say(str(error), wrong=True)

    def _write(self, path: str) -> None:
        self._field.value = path
        self._field.action_end()

    def action_cancel(self) -> None:
        """Leave it."""
        self.dismiss(None)

    def _say(self, words: str, *, wrong: bool = False) -> None:
        note = self.query_one("#file-note", Static)
        note.set_class(wrong, "-wrong")
        note.update(displayable(words))
