"""The build of one side's engine: stages, progress bar, elapsed time and log."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Log, ProgressBar, Static

from app.state.prepare.build_state import BuildState
from app.terminal_text import displayable
from app.units import seconds_text


class BuildProgress(Vertical):
    """Shows a BuildState, polled four times a second for its clock, progress and log."""

    HELP = """\
# Preparing an engine

Each engine is built in a separate process, so the app stays responsive. **Esc** cancels and removes partial
files. A built engine is kept in the engine store and reused.
"""

    def __init__(self, name: str) -> None:
        super().__init__(id=f"build-{name}", classes="build")
        self.state: BuildState | None = None
        self._lines: list[str] = []
        self.border_title = f"{name.capitalize()} engine"

    def compose(self) -> ComposeResult:
        """Yield stages, progress bar and log."""
        yield Static("No build is running.", classes="build-stages")
        yield ProgressBar(show_eta=True, classes="build-bar")
        yield Log(classes="build-log", max_lines=500)

    def on_mount(self) -> None:
        """Hide the progress bar until there is progress, and start polling."""
        self.query_one(ProgressBar).display = False
        self.query_one(Log).can_focus = True
        self.set_interval(0.25, self.refresh_state)

    def show(self, state: BuildState) -> None:
        """Show another build."""
        self.state, self._lines = state, []
        self.query_one(Log).clear()
        self.refresh_state()

    def refresh_state(self) -> None:
        """Update the widgets from the state."""
        state = self.state
        if state is None:
            return
        self.border_subtitle = Content(f"{state.title} · {seconds_text(state.elapsed)}")
        self.query_one(".build-stages", Static).update(_stages(state))
        bar = self.query_one(ProgressBar)
        bar.display = state.running and state.total > 0
        if bar.display:
            bar.update(total=state.total, progress=state.done)
        self._show_lines([displayable(line) for line in state.lines])

    def _show_lines(self, lines: list[str]) -> None:
        """Append new lines; rewrite the log when the state dropped its oldest lines."""
        if lines == self._lines:
            return
        shown = len(self._lines)
        log = self.query_one(Log)
        if lines[:shown] == self._lines:
            log.write_lines(lines[shown:])
        else:
            log.clear().write_lines(lines)
        self._lines = lines


def _stages(state: BuildState) -> Content:
    if state.error:
        return Content.assemble(("✗ ", "$text-error"), f"{state.error.message} {state.error.hint}")
    if state.cancelled:
        return Content("Cancelled; partial files removed.")
    parts: list[str | tuple[str, str]] = []
    for number, stage in enumerate(state.stages, start=1):
        current = state.running and number == len(state.stages)
        parts += [("● ", "$accent") if current else ("✓ ", "$text-success"), f"{stage}  "]
    index, of = state.position
    if state.running:
        parts.append((f"(stage {index} of {of})" if of else "reading the checkpoint", "$text-muted"))
    elif state.prepared and state.prepared.reused:
        parts.append(("reused from the store", "$text-muted"))
    return Content.assemble(*parts)
