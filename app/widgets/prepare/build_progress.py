"""The preparation of one side's engine: stages, progress, elapsed time, log."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Log, ProgressBar, Static

from app.state.prepare.build_state import BuildState
from app.state.side.pacing import displayable
from app.units import seconds_text


class BuildProgress(Vertical):
    """Shows a BuildState; asks it for news four times a second while it runs."""

    HELP = """\
# Preparing an engine

An engine is built in a process of its own, so the screen stays free. **Esc** cancels and leaves nothing
behind. What is built stays in the engine store and is reused the next time.
"""

    def __init__(self, name: str) -> None:
        super().__init__(id=f"build-{name}", classes="build")
        self.state: BuildState | None = None
        self._lines: list[str] = []
        self.border_title = f"{name.capitalize()} engine"

    def compose(self) -> ComposeResult:
        """Stages, bar, log."""
        yield Static("Nothing is being prepared.", classes="build-stages")
        yield ProgressBar(show_eta=True, classes="build-bar")
        yield Log(classes="build-log", max_lines=500)

    def on_mount(self) -> None:
        """Hide what has nothing to show yet."""
        self.query_one(ProgressBar).display = False
        self.query_one(Log).can_focus = True
        self.set_interval(0.25, self.refresh_state)

    def show(self, state: BuildState) -> None:
        """Show another preparation."""
        self.state, self._lines = state, []
        self.query_one(Log).clear()
        self.refresh_state()

    def refresh_state(self) -> None:
        """Draw what has changed."""
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
        """Append what is new; a log that is full loses its oldest lines, and is then written anew."""
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
        return Content("Cancelled. Nothing is left of it.")
    parts: list[str | tuple[str, str]] = []
    for number, stage in enumerate(state.stages, start=1):
        under_way = state.running and number == len(state.stages)
        parts += [("● " if under_way else "✓ ", "$accent" if under_way else "$text-success"), f"{stage}  "]
    index, of = state.position
    if state.running:
        parts.append((f"(stage {index} of {of})" if of else "looking at the checkpoint", "$text-muted"))
    elif state.prepared and state.prepared.reused:
        parts.append(("reused from the store", "$text-muted"))
    return Content.assemble(*parts)
