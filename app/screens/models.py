"""Models: choose a model and an engine for each side, fetch and build them, and show the progress."""

from __future__ import annotations

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Input, Select

from app.screens.playground_screen import PlaygroundScreen
from app.state.prepare.engine_selection import file_problem
from app.state.prepare.gguf_choice import dequantised_fits
from app.state.prepare.opening_errors import opening_errors
from app.state.settings.settings import MINIMUM_CONTEXT, EngineChoice, Settings
from app.terminal_text import displayable
from app.widgets.key_footer import KeyFooter
from app.widgets.models.model_list import ModelList
from app.widgets.models.model_picker import ModelPicker
from app.widgets.panels.panel_strip import HORIZONTAL_BREAKPOINTS, VERTICAL_BREAKPOINTS
from app.widgets.prepare.build_progress import BuildProgress
from app.widgets.prepare.engine_pair import EnginePair
from app.widgets.prepare.engine_picker import EnginePicker
from app.widgets.prepare.enter_plan_view import EnterPlanView
from app.widgets.prepare.error_card import ErrorCard
from app.widgets.prepare.precision_list import PrecisionList
from app.widgets.prepare.prepare_row import PrepareRow
from app.widgets.prepare.welcome import Welcome
from app.widgets.tab_header import TabHeader
from engines.backends.registry import BACKENDS
from engines.plan.hardware.hardware import Device

NOTHING_TO_CALIBRATE = (
    "Neither engine uses calibration text. Only OpenVINO's INT4, TensorRT's INT8 and TensorRT-LLM's "
    "quantised precisions do."
)


class ModelsScreen(PlaygroundScreen):
    """The choice of a checkpoint and two engines, their estimates, and the progress of the builds."""

    TITLE = "Models"
    CSS_PATH = "../styles/models.tcss"
    HORIZONTAL_BREAKPOINTS = HORIZONTAL_BREAKPOINTS
    VERTICAL_BREAKPOINTS = VERTICAL_BREAKPOINTS
    AUTO_FOCUS = "#checkpoints"
    HELP = """\
# Models

1. Choose a **model**; **D** chooses the demo and starts it.
2. Choose a backend and a **precision** for each side. The right side is usually PyTorch, the reference.
   A **GGUF file** runs with llama.cpp, and dequantised with PyTorch. Chosen for one side, it stays beside the
   checkpoint of the other, such as the original model: **F5** in the chat and **F10** compare both.
3. Press **Enter**: *What Enter does* says what is downloaded, built and loaded, and how long that took the
   last time. Engines that are in the store already are loaded from it.

Engines that run now go on until the new ones are ready. If memory does not suffice for both, you are asked.

**S**, or *Server …* among the backends, lets a side use a server instead of a model and an engine here.

**F12** lists which precisions each backend supports on this machine. **F5** measures the memory bandwidth of
the chosen devices, in about ten seconds; the upper bound of decode speed and the MBU (memory bandwidth
utilisation) of answers are computed from it.

**Esc** cancels a build, pauses a download, or goes back to the chat. **F2** opens the chat; a build goes on.
"""
    BINDINGS = [  # noqa: RUF012
        Binding("escape", "cancel_or_back", "Back", id="models.back"),
        Binding("ctrl+b", "prepare", "Build and chat", id="models.prepare", show=False),
        Binding("f2", "back", "Chat", id="models.chat"),
        Binding("f5", "measure", "Bandwidth", id="models.measure"),
        Binding("s", "server", "Server", id="models.server", show=False),
    ]

    def __init__(self, settings: Settings, device: Device) -> None:
        super().__init__()
        self._settings = settings
        self._device = device

    def compose(self) -> ComposeResult:
        """Yield the choices, then the progress of the builds."""
        settings = self._settings
        yield TabHeader("models")
        with VerticalScroll(id="prepare", can_focus=False):
            yield ErrorCard()
            with Container(id="models"):
                yield ModelPicker(settings.checkpoint)
                with Vertical(id="engine-column"):
                    yield PrepareRow(settings.context)
                    yield EnginePair(settings.left, settings.right, self._device)
                    with Horizontal(id="builds"):
                        yield BuildProgress("left")
                        yield BuildProgress("right")
        yield EnterPlanView()
        if not (settings.chosen or settings.welcomed):
            yield Welcome()
        yield KeyFooter()

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
            self.query_one(ModelPicker).list_models()
        self.show_plan()
        errors = () if building else opening_errors(self.playground.builds)
        self.query_one(ErrorCard).show(errors)
        if errors and before:
            self.query_one("#retry", Button).focus()

    @on(ModelPicker.Chosen)
    def show_sides(self) -> None:
        """Choose the sides that suit the model, then show the estimates."""
        self.show_estimates()
        checkpoint, row = self.query_one(ModelPicker).checkpoint, self.query_one(PrepareRow)
        if checkpoint is None:
            return
        right = self.query_one("#engine-right", EnginePicker).selection
        one = bool(checkpoint.gguf_precision) and not (
            row.tokens and dequantised_fits(checkpoint, right.choice, row.tokens, right.device)
        )
        row.offer_one(one)

    @on(Input.Changed, "#context")
    @on(Select.Changed, "#sides")
    def show_estimates(self) -> None:
        """Recompute both estimates after any choice on this screen changed."""
        row = self.query_one(PrepareRow)
        self.query_one(EnginePair).show(self.query_one(ModelPicker).checkpoint, row.tokens, row.sides)

    @on(EnginePair.Estimated)
    def show_plan(self) -> None:
        """Show what Enter does."""
        models, row = self.query_one(ModelPicker), self.query_one(PrepareRow)
        plans, held = self.query_one(EnginePair).plans(row.names, is_remote=models.model.is_remote)
        problem = "" if self._building() else self.problem
        cancelled = (build.cancelled_text for build in self.playground.builds.values())
        note = next(filter(None, cancelled), "")
        self.query_one(EnterPlanView).show(plans, problem, held, note)
        self.query_one("#go", Button).disabled = (
            bool(models.problem and self._needs_model) or self._building()
        )

    @on(ModelList.DemoRequested)
    @work(exclusive=True, group="demo", exit_on_error=False)
    async def start_demo(self) -> None:
        """Build and load the demo's engines."""
        models = self.query_one(ModelPicker)
        await models.choose_demo()
        self.action_prepare()

    @on(ErrorCard.ChooseAnother)
    def choose_another(self) -> None:
        """Go to the list of models."""
        self.query_one(ModelList).focus()

    @on(ErrorCard.OpenLog)
    def open_log(self, event: ErrorCard.OpenLog) -> None:
        """Show a log."""
        from app.screens.log import LogScreen

        self.app.push_screen(LogScreen(event.path))

    @on(ErrorCard.Retry)
    @on(ModelPicker.Submitted)
    @on(PrecisionList.Submitted)
    @on(Input.Submitted, "#context")
    @on(Button.Pressed, "#go")
    def action_prepare(self) -> None:
        """Build and load the chosen engines, or show why that is not possible."""
        self._prepare()

    @work(exclusive=True, group="prepare", exit_on_error=False)
    async def _prepare(self) -> None:
        await self.query_one(ModelPicker).until_read()  # the key may follow the choice at once
        if problem := self.problem:
            self._refuse(problem)
            return
        row = self.query_one(PrepareRow)
        choices = {name: self._choice(name) for name in row.names}
        for name, choice in choices.items():
            if problem := await file_problem(choice):
                self._refuse(f"{name.capitalize()}: {problem}")
                return
        assert row.tokens is not None
        self.query(Welcome).remove()
        self.playground.choose(self.query_one(ModelPicker).chosen, row.tokens, choices)

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
        screen = CalibrationScreen(
            title, selection.choice.calibration, builds_uncalibrated=selection.builds_uncalibrated
        )
        file = await self.app.push_screen_wait(screen)
        if file is not None:
            picker.set_calibration(file)

    def action_server(self) -> None:
        """Choose a server for the focused side, or else for the left one."""
        pickers = list(self.query(EnginePicker))
        self._choose_server(next((one for one in pickers if one.has_focus_within), pickers[0]))

    @on(EnginePicker.ServerRequested)
    def server_requested(self, event: EnginePicker.ServerRequested) -> None:
        """Choose a server for the side that asked."""
        self._choose_server(event.picker)

    @work(exclusive=True, group="server", exit_on_error=False)
    async def _choose_server(self, picker: EnginePicker) -> None:
        from app.screens.server import ServerScreen

        server = await self.app.push_screen_wait(ServerScreen(picker.selection.server))
        if server is not None:
            picker.set_server(server)

    @on(Button.Pressed, "#cancel")
    def cancel(self) -> None:
        """Cancel every build."""
        self.playground.cancel_builds()

    def action_cancel_or_back(self) -> None:
        """Clear the filter, or cancel a running build; without either, go back to the chat."""
        if self.query_one(ModelPicker).clear_filter():
            return
        if self._building():
            self.cancel()
        else:
            self.playground.show_chat()

    def action_back(self) -> None:
        """Go to the chat; builds continue."""
        self.playground.show_chat()

    @property
    def _needs_model(self) -> bool:
        """Whether an engine on this machine is to be opened, which needs a checkpoint."""
        names = self.query_one(PrepareRow).names
        return any(not self.query_one(f"#engine-{name}", EnginePicker).selection.is_remote for name in names)

    def _building(self) -> bool:
        return any(state.running for state in self.playground.builds.values())

    def _choice(self, name: str) -> EngineChoice:
        return self.query_one(f"#engine-{name}", EnginePicker).selection.choice

    @property
    def problem(self) -> str:
        """Why what is chosen cannot be prepared now; empty if it can."""
        row = self.query_one(PrepareRow)
        if self._needs_model:
            picker = self.query_one(ModelPicker)
            if not picker.is_up_to_date:
                return "Still reading the model. Try again in a moment."
            if picker.problem:
                return picker.problem
        if row.tokens is None:
            return f"The context window must be a whole number of at least {MINIMUM_CONTEXT} tokens."
        for name in row.names:
            if problem := self.query_one(f"#engine-{name}", EnginePicker).selection.problem:
                return f"{name.capitalize()}: {problem}"
        return "A build is running. Cancel it first (Esc)." if self._building() else ""
