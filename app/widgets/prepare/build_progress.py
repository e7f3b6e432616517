"""The build of one side's engine: stages, progress bar, elapsed time and log."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Log, ProgressBar, Static

from app.state.prepare.build_state import BuildState
from app.terminal_text import displayable
from app.units import bytes_of_text, bytes_text, clock_text, seconds_text


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
        elapsed = clock_text(state.elapsed) if state.running else seconds_text(state.elapsed)
        self.border_subtitle = Content(displayable(f"{state.title} · {elapsed}"))
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
        return Content.assemble(("✗ ", "$text-error"), "failed")
    if state.cancelled:
        return Content(state.cancelled_text)
    parts: list[str | tuple[str, str]] = []
    for number, stage in enumerate(state.stages, start=1):
        current = state.running and number == len(state.stages)
        parts += [("● ", "$accent") if current else ("✓ ", "$text-success"), f"{stage}  "]
    index, of = state.position
    if state.is_fetching and state.total:
        parts.append((_download_text(state), "$text-muted"))
    elif state.running:
        where = f"stage {index} of {of}" if of else "reading the checkpoint"
        words = f"{where}, {state.earlier_text}" if state.earlier_text else where
        parts.append((f"({words})" if of else words, "$text-muted"))
    elif state.prepared and state.prepared.reused:
        parts.append(("reused from the store", "$text-muted"))
    return Content.assemble(*parts)


def _download_text(state: BuildState) -> str:
    """Return `210 of 257 MiB · 12.3 MiB/s · 4 s left`; speed and time once they are known."""
    parts = [bytes_of_text(state.done, state.total)]
    if speed := state.speed:
        parts.append(f"{bytes_text(speed)}/s")
    if (left := state.seconds_left) is not None:
        parts.append(f"{clock_text(left)} left")
    return " · ".join([*parts, "Esc pauses"])
