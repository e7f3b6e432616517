"""The setting that names the interpreter of a backend which cannot live in our environment."""

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
from app.state.side.pacing import displayable
from engines.backends.registry import BACKENDS

PAUSE_SECONDS = 0.4
"""Without a key, before what was written is tried: every trial starts a process."""
MEANING = "A Python that has it. Empty: what `env create` made."


class InterpreterSetting(Vertical):
    """A path, and what is found there: kept only if it can be used."""

    @dataclass
    class Changed(Message):
        """An interpreter that can be used was named, or none."""

        backend: str
        python: str

    def __init__(self, backend: str, python: str) -> None:
        super().__init__(id=f"interpreter-{backend}", classes="setting")
        self.backend, self._first = backend, python
        self._trial = Debouncer(PAUSE_SECONDS, self._try, lambda work: self.run_worker(work, group="trial"))

    def compose(self) -> ComposeResult:
        """Title and path; below them what was found."""
        with Horizontal():
            yield Static(f"{BACKENDS[self.backend].title} Python", classes="setting-title")
            yield Input(
                self._first, placeholder="/path/to/bin/python", compact=True, classes="interpreter-path"
            )
        yield Static(MEANING, classes="setting-meaning", markup=False)

    def on_mount(self) -> None:
        """Say of the one that is named already what it is."""
        if self._first:
            self._trial.touch()

    @on(Input.Changed)
    def wait(self) -> None:
        """Try it when nothing more is written."""
        self._say(MEANING, wrong=False)
        self._trial.touch()

    @on(Input.Submitted)
    async def _try(self) -> None:
        path = self.query_one(Input).value.strip()
        if not path:
            self._say(MEANING, wrong=False)
            self.post_message(self.Changed(self.backend, ""))
            return
        found = await asyncio.to_thread(named_environment, self.backend, path)
        if path != self.query_one(Input).value.strip():
            return  # written on meanwhile: another trial is due
        if found.problem:
            self._say(f"✗ {found.problem}. Not kept.", wrong=True)
            return
        self._say(f"✓ {BACKENDS[self.backend].title} {found.version}", wrong=False)
        self.post_message(self.Changed(self.backend, found.python))

    def _say(self, words: str, *, wrong: bool) -> None:
        meaning = self.query_one(".setting-meaning", Static)
        meaning.set_class(wrong, "-wrong")
        meaning.update(displayable(words))
