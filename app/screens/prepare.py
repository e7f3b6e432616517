"""Prepare: choose a checkpoint and an engine for each side, and watch them being built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.screen import Screen
from textual.widgets import Button, Footer, Header, Input, Select, Static

from app.state.settings import EngineChoice, Settings
from app.widgets.build_progress import BuildProgress
from app.widgets.checkpoint_picker import CheckpointPicker
from app.widgets.engine_picker import EnginePicker
from app.widgets.panel_strip import HORIZONTAL_BREAKPOINTS, VERTICAL_BREAKPOINTS
from engines.plan.hardware import Device

if TYPE_CHECKING:
    from app.playground import Playground

MINIMUM_CONTEXT = 64


class PrepareScreen(Screen[None]):
    """One checkpoint, two engines."""

    TITLE = "Prepare"
    CSS_PATH = "../styles/prepare.tcss"
    HORIZONTAL_BREAKPOINTS = HORIZONTAL_BREAKPOINTS
    VERTICAL_BREAKPOINTS = VERTICAL_BREAKPOINTS
    AUTO_FOCUS = "#engine-left .precisions"
    HELP = """\
# Prepare

1. Choose a **checkpoint**.
2. Choose a backend and a **precision** for each side. The right side is usually PyTorch, the reference.
3. **Enter** on a precision, or the button, prepares: built engines are reused from the store.

**Esc** cancels what is being built, or goes back to the chat.
"""
    BINDINGS = [  # noqa: RUF012
        Binding("escape", "cancel_or_back", "Cancel / back", id="prepare.back"),
        Binding("ctrl+b", "prepare", "Prepare", id="prepare.prepare"),
        Binding("f8", "app.store", "Store", id="prepare.store"),
    ]
    app: Playground

    def __init__(self, settings: Settings, device: Device) -> None:
        super().__init__()
        self._settings = settings
        self._device = device

    def compose(self) -> ComposeResult:
        """Choices above, progress below."""
        settings = self._settings
        yield Header()
        with VerticalScroll(id="prepare"):
            yield CheckpointPicker(settings.checkpoint)
            with Horizontal(id="engines"):
                yield EnginePicker("left", settings.left, self._device)
                yield EnginePicker("right", settings.right, self._device)
            with Horizontal(id="prepare-row"):
                yield Static("Context", classes="label")
                yield Input(str(settings.context), type="integer", id="context", compact=True)
                yield Static("Sides", classes="label")
                sides = [("both", "both"), ("left", "left"), ("right", "right")]
                yield Select(sides, value="both", allow_blank=False, id="sides", compact=True)
                yield Button("Prepare", variant="primary", id="go", compact=True)
                yield Button("Cancel", id="cancel", compact=True, disabled=True)
            with Horizontal(id="builds"):
                yield BuildProgress("left")
                yield BuildProgress("right")
        yield Footer()

    def on_mount(self) -> None:
        """Follow the builds, also those that began before this screen was opened."""
        self.app.build_changed.subscribe(self, self.show_build)
        for name in self.app.builds:
            self.show_build(name)

    def on_screen_resume(self) -> None:
        """Show builds that went on meanwhile."""
        for name in self.app.builds:
            self.show_build(name)

    def show_build(self, name: str) -> None:
        """Show the build of one side."""
        build = self.query_one(f"#build-{name}", BuildProgress)
        state = self.app.builds[name]
        if build.state is not state:
            build.show(state)
            if state.running:
                build.scroll_visible()
        build.refresh_state()
        self.query_one("#cancel", Button).disabled = not self._building()

    @on(CheckpointPicker.Chosen)
    @on(Input.Changed, "#context")
    def show_estimates(self) -> None:
        """The estimates depend on the checkpoint and the context."""
        checkpoint = self.query_one(CheckpointPicker).checkpoint
        for picker in self.query(EnginePicker):
            picker.show(checkpoint, self._context_tokens() or 0)

    @on(EnginePicker.Submitted)
    @on(Button.Pressed, "#go")
    def action_prepare(self) -> None:
        """Check the choice and let the app prepare it."""
        if problem := self._problem():
            self.notify(problem, title="Not prepared", severity="error", markup=False)
            return
        context = self._context_tokens()
        assert context is not None
        left, right = (self._choice(name) for name in ("left", "right"))
        chosen = str(self.query_one("#sides", Select).value)
        names = ("left", "right") if chosen == "both" else (chosen,)
        self.app.choose(self.query_one(CheckpointPicker).chosen, context, left, right, names)

    @on(Button.Pressed, "#cancel")
    def cancel(self) -> None:
        """Cancel every build."""
        self.app.cancel_builds()

    def action_cancel_or_back(self) -> None:
        """Esc: first what runs, then the screen."""
        if self._building():
            self.cancel()
        else:
            self.app.show_chat()

    def _building(self) -> bool:
        return any(state.running for state in self.app.builds.values())

    def _choice(self, name: str) -> EngineChoice:
        return self.query_one(f"#engine-{name}", EnginePicker).choice

    def _context_tokens(self) -> int | None:
        text = self.query_one("#context", Input).value
        return int(text) if text.isdigit() and int(text) >= MINIMUM_CONTEXT else None

    def _problem(self) -> str:
        picker = self.query_one(CheckpointPicker)
        if picker.problem:
            return picker.problem
        if self._context_tokens() is None:
            return f"The context is a whole number of at least {MINIMUM_CONTEXT} tokens."
        chosen = self.query_one("#sides", Select).value
        for name in ("left", "right"):
            problem = self.query_one(f"#engine-{name}", EnginePicker).problem
            if problem and chosen in ("both", name):
                return f"{name.capitalize()}: {problem}"
        return "Cancel what is being prepared first." if self._building() else ""
