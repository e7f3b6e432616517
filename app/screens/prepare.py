"""Prepare: choose a checkpoint and an engine for each side, and watch them being built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.screen import Screen
from textual.widgets import Button, Footer, Header, Input, Select

from app.state.prepare.engine_selection import file_problem
from app.state.settings.settings import MINIMUM_CONTEXT, EngineChoice, Settings
from app.state.side.pacing import displayable
from app.widgets.panels.panel_strip import HORIZONTAL_BREAKPOINTS, VERTICAL_BREAKPOINTS
from app.widgets.prepare.build_progress import BuildProgress
from app.widgets.prepare.checkpoint_picker import CheckpointPicker
from app.widgets.prepare.engine_pair import EnginePair
from app.widgets.prepare.engine_picker import EnginePicker
from app.widgets.prepare.precision_list import PrecisionList
from app.widgets.prepare.prepare_hint import PrepareHint
from app.widgets.prepare.prepare_row import PrepareRow
from app.widgets.prepare.welcome import Welcome
from engines.plan.hardware.hardware import Device

if TYPE_CHECKING:
    from app.playground import Playground

NOTHING_TO_CALIBRATE = "Nothing that is chosen reads a text; TensorRT-LLM's quantised precisions do."


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

**F12** shows what runs here, for every backend. **F5** measures the memory bandwidth of the chosen devices
once, in about ten seconds: the ceiling of decode speed follows from it, and the MBU of every answer.

**Esc** cancels what is being built, or goes back to the chat. **F2** goes to the chat and lets it run on.
"""
    BINDINGS = [  # noqa: RUF012
        Binding("escape", "cancel_or_back", "Back", id="prepare.back"),
        Binding("ctrl+b", "prepare", "Prepare", id="prepare.prepare", show=False),
        Binding("f2", "back", "Chat", id="prepare.chat"),
        Binding("f5", "measure", "Bandwidth", id="prepare.measure"),
        Binding("f12", "app.open('support')", "What runs", id="prepare.support"),
        Binding("f8", "app.open('store')", "Store", id="prepare.store"),
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
        with VerticalScroll(id="prepare", can_focus=False):
            yield PrepareHint()
            yield CheckpointPicker(settings.checkpoint)
            yield EnginePair(settings.left, settings.right, self._device)
            yield PrepareRow(settings.context)
            with Horizontal(id="builds"):
                yield BuildProgress("left")
                yield BuildProgress("right")
        if not (settings.chosen or settings.welcomed):
            yield Welcome()
        yield Footer(compact=True)

    def on_mount(self) -> None:
        """Follow the builds, also those that began before this screen was opened."""
        self.app.change_settings(welcomed=True)  # once: it is on this screen, if it ever was to be
        self.app.build_changed.subscribe(self, self.show_build)
        self.app.settings_changed.subscribe(self, self.show_context)
        for name in self.app.builds:
            self.show_build(name)

    def on_screen_resume(self) -> None:
        """Show builds that went on meanwhile, and look at the machine after the first frame."""
        for name in self.app.builds:
            self.show_build(name)
        self.call_after_refresh(self.look_around)

    @work(exclusive=True, group="look", exit_on_error=False)
    async def look_around(self) -> None:
        """See which interpreters there are, which F6 may have changed, and what the machine has left."""
        await self.app.find_interpreters()
        self.query_one(EnginePair).probe_devices()

    def action_measure(self) -> None:
        """Measure the memory's bandwidth; the ceilings follow."""
        self.query_one(EnginePair).measure()

    def show_context(self, settings: Settings) -> None:
        """Another context was chosen on the settings screen, which is above this one."""
        if settings.context != self._settings.context:
            self._settings = settings
            self.query_one(PrepareRow).show_context(settings.context)

    def show_build(self, name: str) -> None:
        """Show the build of one side."""
        build = self.query_one(f"#build-{name}", BuildProgress)
        state = self.app.builds[name]
        if build.state is not state:
            build.show(state)
        build.refresh_state()
        self._show_building()

    def _show_building(self) -> None:
        """Make room for the progress while something is being prepared, and for the choice afterwards."""
        building, before = self._building(), self.has_class("-building")
        self.set_class(building, "-building")
        self.add_class("-built")
        cancel = self.query_one("#cancel", Button)
        cancel.disabled = not building
        if building and not before:
            cancel.focus()
            self.call_after_refresh(self.query_one("#builds").scroll_visible)
        elif before and not building:
            self.query_one(self.AUTO_FOCUS).focus()
        self.query_one(PrepareHint).show(self.app.builds)

    @on(CheckpointPicker.Chosen)
    @on(Input.Changed, "#context")
    @on(Select.Changed, "#sides")
    def show_estimates(self) -> None:
        """The estimates depend on everything that is chosen here."""
        row = self.query_one(PrepareRow)
        self.query_one(EnginePair).show(self.query_one(CheckpointPicker).checkpoint, row.tokens, row.sides)

    @on(Input.Submitted, "#checkpoint")
    def go_on(self) -> None:
        """Enter in the checkpoint's field: on to the precisions."""
        self.query_one(self.AUTO_FOCUS).focus()

    @on(PrecisionList.Submitted)
    @on(Input.Submitted, "#context")
    @on(Button.Pressed, "#go")
    def action_prepare(self) -> None:
        """Check the choice and let the app prepare it."""
        if problem := self._problem():
            self._refuse(problem)
        else:
            self._prepare()

    @work(exclusive=True, group="prepare", exit_on_error=False)
    async def _prepare(self) -> None:
        row, left, right = self.query_one(PrepareRow), self._choice("left"), self._choice("right")
        for name, choice in (("left", left), ("right", right)):
            if name in row.names and (problem := await file_problem(choice)):
                self._refuse(f"{name.capitalize()}: {problem}")
                return
        assert row.tokens is not None
        self.query(Welcome).remove()
        self.app.choose(self.query_one(CheckpointPicker).chosen, row.tokens, left, right, row.names)

    def _refuse(self, problem: str) -> None:
        self.notify(displayable(problem), severity="error", timeout=6, markup=False)

    def action_calibration(self) -> None:
        """Choose the text to calibrate with, of the side with the focus, else of the first that has one."""
        pickers = [picker for picker in self.query(EnginePicker) if picker.selection.calibrates]
        if not pickers:
            self._refuse(NOTHING_TO_CALIBRATE)
            return
        min(pickers, key=lambda picker: not picker.has_focus_within).choose_calibration()

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

    def action_back(self) -> None:
        """To the chat; what runs goes on."""
        self.app.show_chat()

    def _building(self) -> bool:
        return any(state.running for state in self.app.builds.values())

    def _choice(self, name: str) -> EngineChoice:
        return self.query_one(f"#engine-{name}", EnginePicker).selection.choice

    def _problem(self) -> str:
        picker = self.query_one(CheckpointPicker)
        if not picker.is_up_to_date:
            return "Still looking at the checkpoint: once more, please."
        if picker.problem:
            return picker.problem
        row = self.query_one(PrepareRow)
        if row.tokens is None:
            return f"The context is a whole number of at least {MINIMUM_CONTEXT} tokens."
        for name in row.names:
            if problem := self.query_one(f"#engine-{name}", EnginePicker).selection.problem:
                return f"{name.capitalize()}: {problem}"
        return "Cancel what is being prepared first." if self._building() else ""
