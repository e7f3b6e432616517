"""Prepare: choose a checkpoint and an engine for each side, build them and show the progress."""

from __future__ import annotations

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Button, Footer, Header, Input, Select

from app.screens.playground_screen import PlaygroundScreen
from app.state.prepare.engine_selection import file_problem
from app.state.settings.settings import MINIMUM_CONTEXT, EngineChoice, Settings
from app.terminal_text import displayable
from app.widgets.panels.panel_strip import HORIZONTAL_BREAKPOINTS, VERTICAL_BREAKPOINTS
from app.widgets.prepare.build_progress import BuildProgress
from app.widgets.prepare.checkpoint_picker import CheckpointPicker
from app.widgets.prepare.engine_pair import EnginePair
from app.widgets.prepare.engine_picker import EnginePicker
from app.widgets.prepare.precision_list import PrecisionList
from app.widgets.prepare.prepare_hint import PrepareHint
from app.widgets.prepare.prepare_row import PrepareRow
from app.widgets.prepare.welcome import Welcome
from engines.backends.registry import BACKENDS
from engines.plan.hardware.hardware import Device

NOTHING_TO_CALIBRATE = "Neither engine uses calibration text. Only TensorRT-LLM's quantised precisions do."


class PrepareScreen(PlaygroundScreen):
    """The choice of a checkpoint and two engines, their estimates, and the progress of the builds."""

    TITLE = "Prepare"
    CSS_PATH = "../styles/prepare.tcss"
    HORIZONTAL_BREAKPOINTS = HORIZONTAL_BREAKPOINTS
    VERTICAL_BREAKPOINTS = VERTICAL_BREAKPOINTS
    AUTO_FOCUS = "#engine-left .precisions"
    HELP = """\
# Prepare

1. Choose a **checkpoint**.
2. Choose a backend and a **precision** for each side. The right side is usually PyTorch, the reference.
3. Press **Enter** on a precision, or the button, to build both engines. Engines that are in the store already
   are loaded from it.

**F12** lists which precisions each backend supports on this machine. **F5** measures the memory bandwidth of
the chosen devices, in about ten seconds; the upper bound of decode speed and the MBU (memory bandwidth
utilisation) of answers are computed from it.

**Esc** cancels a build, or goes back to the chat if there is none. **F2** opens the chat; a build continues.
"""
    BINDINGS = [  # noqa: RUF012
        Binding("escape", "cancel_or_back", "Back", id="prepare.back"),
        Binding("ctrl+b", "prepare", "Prepare", id="prepare.prepare", show=False),
        Binding("f2", "back", "Chat", id="prepare.chat"),
        Binding("f5", "measure", "Bandwidth", id="prepare.measure"),
        Binding("f12", "app.open('support')", "Support", id="prepare.support"),
        Binding("f8", "app.open('store')", "Store", id="prepare.store"),
    ]

    def __init__(self, settings: Settings, device: Device) -> None:
        super().__init__()
        self._settings = settings
        self._device = device

    def compose(self) -> ComposeResult:
        """Yield the choices, then the progress of the builds."""
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
        """Subscribe to builds and settings, and show builds that are already running."""
        app = self.playground
        app.change_settings(welcomed=True)  # the first-run hint is shown once
        app.build_changed.subscribe(self, self.show_build)
        app.settings_changed.subscribe(self, self.show_context)
        for name in app.builds:
            self.show_build(name)

    def on_screen_resume(self) -> None:
        """Show what the builds did meanwhile; probe the machine after the first frame, as it takes time."""
        for name in self.playground.builds:
            self.show_build(name)
        self.call_after_refresh(self.probe_machine)

    @work(exclusive=True, group="look", exit_on_error=False)
    async def probe_machine(self) -> None:
        """Find the interpreters, which F6 may have changed, then update free memory and the estimates."""
        await self.playground.find_interpreters()
        self.query_one(EnginePair).probe_devices()

    def action_measure(self) -> None:
        """Measure the memory bandwidth of the chosen devices and update the estimates."""
        self.query_one(EnginePair).measure()

    def show_context(self, settings: Settings) -> None:
        """Show a context window that was changed on the settings screen, opened above this one."""
        if settings.context != self._settings.context:
            self._settings = settings
            self.query_one(PrepareRow).show_context(settings.context)

    def show_build(self, name: str) -> None:
        """Show the state of one side's build."""
        build = self.query_one(f"#build-{name}", BuildProgress)
        state = self.playground.builds[name]
        if build.state is not state:
            build.show(state)
        build.refresh_state()
        self._show_building()

    def _show_building(self) -> None:
        """Show the progress while a build runs, else the choices: a small terminal fits only one of them."""
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
        self.query_one(PrepareHint).show(self.playground.builds)

    @on(CheckpointPicker.Chosen)
    @on(Input.Changed, "#context")
    @on(Select.Changed, "#sides")
    def show_estimates(self) -> None:
        """Recompute both estimates after any choice on this screen changed."""
        row = self.query_one(PrepareRow)
        self.query_one(EnginePair).show(self.query_one(CheckpointPicker).checkpoint, row.tokens, row.sides)

    @on(Input.Submitted, "#checkpoint")
    def focus_precisions(self) -> None:
        """Move the focus from the checkpoint field to the first precision list."""
        self.query_one(self.AUTO_FOCUS).focus()

    @on(PrecisionList.Submitted)
    @on(Input.Submitted, "#context")
    @on(Button.Pressed, "#go")
    def action_prepare(self) -> None:
        """Build and load the chosen engines, or show why that is not possible."""
        if problem := self._problem():
            self._refuse(problem)
        else:
            self._prepare()

    @work(exclusive=True, group="prepare", exit_on_error=False)
    async def _prepare(self) -> None:
        row = self.query_one(PrepareRow)
        choices = {name: self._choice(name) for name in row.names}
        for name, choice in choices.items():
            if problem := await file_problem(choice):
                self._refuse(f"{name.capitalize()}: {problem}")
                return
        assert row.tokens is not None
        self.query(Welcome).remove()
        self.playground.choose(self.query_one(CheckpointPicker).chosen, row.tokens, choices)

    def _refuse(self, problem: str) -> None:
        self.notify(displayable(problem), severity="error", timeout=6, markup=False)

    def action_calibration(self) -> None:
        """Choose a calibration text for the focused side, or else for the first side that uses one."""
        pickers = [picker for picker in self.query(EnginePicker) if picker.selection.calibrates]
        if not pickers:
            self._refuse(NOTHING_TO_CALIBRATE)
            return
        self._choose_calibration(min(pickers, key=lambda picker: not picker.has_focus_within))

    @on(EnginePicker.CalibrationRequested)
    def calibration_requested(self, event: EnginePicker.CalibrationRequested) -> None:
        """Choose a calibration text for the side that asked."""
        self._choose_calibration(event.picker)

    @work(exclusive=True, group="calibration", exit_on_error=False)
    async def _choose_calibration(self, picker: EnginePicker) -> None:
        from app.screens.calibration import CalibrationScreen

        selection = picker.selection
        title = f"{BACKENDS[selection.backend].title} {selection.precision}"
        file = await self.app.push_screen_wait(CalibrationScreen(title, selection.wanted_calibration))
        if file is not None:
            picker.set_calibration(file)

    @on(Button.Pressed, "#cancel")
    def cancel(self) -> None:
        """Cancel every build."""
        self.playground.cancel_builds()

    def action_cancel_or_back(self) -> None:
        """Cancel a running build; without one, go back to the chat."""
        if self._building():
            self.cancel()
        else:
            self.playground.show_chat()

    def action_back(self) -> None:
        """Go to the chat; builds continue."""
        self.playground.show_chat()

    def _building(self) -> bool:
        return any(state.running for state in self.playground.builds.values())

    def _choice(self, name: str) -> EngineChoice:
        return self.query_one(f"#engine-{name}", EnginePicker).selection.choice

    def _problem(self) -> str:
        picker = self.query_one(CheckpointPicker)
        if not picker.is_up_to_date:
            return "Still reading the checkpoint. Try again in a moment."
        if picker.problem:
            return picker.problem
        row = self.query_one(PrepareRow)
        if row.tokens is None:
            return f"The context window must be a whole number of at least {MINIMUM_CONTEXT} tokens."
        for name in row.names:
            if problem := self.query_one(f"#engine-{name}", EnginePicker).selection.problem:
                return f"{name.capitalize()}: {problem}"
        return "A build is running. Cancel it first (Esc)." if self._building() else ""
