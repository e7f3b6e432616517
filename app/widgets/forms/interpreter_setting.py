"""The setting for the Python interpreter of a backend that needs its own environment."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, Static

from app.debounce import Debouncer
from app.state.settings.interpreters import named_environment
from app.terminal_text import displayable
from engines.backends.registry import BACKENDS

PAUSE_SECONDS = 0.4
"""Pause in typing before the path is checked; each check starts a process."""


class InterpreterSetting(Vertical):
    """A path input that checks the interpreter and posts `Changed` only for one that works."""

    @dataclass
    class Changed(Message):
        """A working interpreter was named, or the path was cleared (empty)."""

        backend: str
        python: str

    def __init__(self, backend: str, python: str) -> None:
        super().__init__(id=f"interpreter-{backend}", classes="setting")
        self.backend, self._initial = backend, python
        self._meaning = (
            f"Path to a Python with {BACKENDS[backend].title}. Empty: the environment of `env create`."
        )
        self._check_later = Debouncer(
            PAUSE_SECONDS, self._check, lambda work: self.run_worker(work, group="check", exit_on_error=False)
        )

    def compose(self) -> ComposeResult:
        """Yield title and path; below them the result of the check."""
        with Horizontal():
            yield Static(f"{BACKENDS[self.backend].title} Python", classes="setting-title")
            yield Input(
                self._initial, placeholder="/path/to/bin/python", compact=True, classes="interpreter-path"
            )
        yield Static(self._meaning, classes="setting-meaning", markup=False)

    def on_mount(self) -> None:
        """Check the interpreter that is set already."""
        if self._initial:
            self._check_later.trigger()

    @on(Input.Changed)
    def schedule_check(self) -> None:
        """Check the path after a pause in typing."""
        self._show(self._meaning, wrong=False)
        self._check_later.trigger()

    @on(Input.Submitted)
    async def _check(self) -> None:
        path = self.query_one(Input).value.strip()
        if not path:
            self._show(self._meaning, wrong=False)
            self.post_message(self.Changed(self.backend, ""))
            return
        found = await asyncio.to_thread(named_environment, self.backend, path)
        if path != self.query_one(Input).value.strip():
            return  # the path changed during the check, and another check is scheduled
        if found.problem:
            self._show(f"✗ {found.problem}. Not saved.", wrong=True)
            return
        self._show(f"✓ {BACKENDS[self.backend].title} {found.version}", wrong=False)
        self.post_message(self.Changed(self.backend, found.python))

    def _show(self, text: str, *, wrong: bool) -> None:
        meaning = self.query_one(".setting-meaning", Static)
        meaning.set_class(wrong, "-wrong")
        meaning.update(displayable(text))
