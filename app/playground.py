"""The Textual app: two sides, their engines, the settings and the conversation."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.events import Event
from textual.screen import Screen
from textual.signal import Signal

from app import themes
from app.commands import commands
from app.demo import Demo, DemoOptions
from app.engine_lifecycle import EngineLifecycle
from app.engine_swap import EngineSwap
from app.gc_policy import collect_seldom
from app.guarded_app import GuardedApp
from app.interpreter_search import InterpreterSearch
from app.keys import MAIN
from app.navigation import Navigation
from app.notifications import EngineNotifications
from app.parsed_styles import ParsedStyles
from app.state.comparison.quality_job import QualityJob
from app.state.conversation.conversation_file import ConversationFile, Record, read_record
from app.state.conversation.restored_options import restored_options, restored_options_text
from app.state.conversation.votes import Votes
from app.state.prepare.build_state import BuildState
from app.state.prepare.engine_spec import choices_of, engine_spec
from app.state.prepare.gguf_beside import with_own_files
from app.state.prepare.gguf_choice import sides_to_open
from app.state.prepare.load_times import load_key, read_load_times, save_load_time
from app.state.prepare.machine_name import machine_of
from app.state.prepare.side_gpu import gpu_of, with_gpus
from app.state.settings import paths
from app.state.settings.last_write import SaveFailures
from app.state.settings.settings import EngineChoice, Settings, SettingsFile, swapped
from app.state.side.phase import Phase
from app.state.side.side import Side
from app.state.side.snapshot import Snapshot
from app.state.side.telemetry_sampler import TelemetrySampler
from engines.build.prepare import PreparedEngine, StartWorker, Step
from engines.build.store import EngineStore
from engines.environments.environment import environments, register_all
from engines.environments.start import start_worker
from engines.measure.energy import EnergyCounter
from engines.plan.gguf_formats import DEQUANTISING_BACKEND
from engines.plan.hardware.hardware import Device, devices
from engines.plan.hardware.placement import device_of
from engines.worker.protocol import Log, Progress, Ready

SNAPSHOT_SECONDS = 0.25
RETRY_SECONDS = 3.0
"""Between two attempts to write what could not be saved."""
RECENT_CHECKPOINTS = 10
CLOSE_SECONDS = 5.0
"""How long quitting waits for engines. Workers that are still there end when their stdin closes."""


class Playground(GuardedApp):
    """Two engines and one prompt."""

    TITLE = "trt-playground"
    NOTIFICATION_TIMEOUT = 3
    CSS_PATH = "styles/panels.tcss"
    HORIZONTAL_BREAKPOINTS = []  # noqa: RUF012 - the screens have theirs
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f9", "restart_failed", "Restart", id="app.restart"),
        # With priority: keys that text areas bind too, or that work above dialogs.
        Binding("ctrl+s", "open_or_close('go-to')", "Go to", id="app.go-to", priority=True),
        Binding("question_mark", "open_or_close('help')", "Help", id="app.help"),
        Binding("f1", "open_or_close('help')", "Help", id="app.help-f1", priority=True),
        Binding("ctrl+q", "quit", "Quit", id="app.quit", priority=True),
        Binding("ctrl+n", "new_conversation", "New conversation", id="app.new"),
        *(Binding(f"{digit}", f"open('{name}')", show=False) for digit, name in enumerate(MAIN, 1)),
        *(
            Binding(f"alt+{digit}", f"open('{name}')", show=False, priority=True)
            for digit, name in enumerate(MAIN, 1)
        ),
        Binding("f2", "open('models')", "Models", id="app.models"),
        Binding("f5", "open('compare')", "Compare", id="app.compare"),
        Binding("f10", "open('quality')", "Quality", id="app.quality"),
        Binding("f3", "open('conversations')", "Conversations", id="app.conversations"),
        Binding("f4", "open('sampling')", "Sampling", id="app.sampling"),
        Binding("f6", "open_or_close('settings')", "Settings", id="app.settings", priority=True),
        Binding("f8", "open('store')", "Engine store", id="app.store"),
        Binding("f12", "open('support')", "Backend support", id="app.support"),
        Binding("alt+a", "open('blind')", "Blind vote", id="app.blind"),
        Binding("alt+l", "open('load')", "Load test", id="app.load"),
        Binding("ctrl+l", "redraw", "Redraw", id="app.redraw", show=False, priority=True),
    ]

    def __init__(
        self,
        settings: Settings,
        settings_file: Path | None = None,
        conversation: Path | None = None,
        saved: Settings | None = None,
        start_worker: StartWorker = start_worker,
        side_class: type[Side] = Side,
        replay: Record | None = None,
        demo: DemoOptions | None = None,
    ) -> None:
        """Create the app.

        Args:
            settings: the settings to start with.
            settings_file: where changes are saved; None: they are not.
            conversation: a saved conversation to continue.
            saved: what the settings file holds, where the command line has changed some of it.
            start_worker: starts the worker processes.
            side_class: a subclass of Side that observes answers, as benchmarks do.
            replay: a conversation to replay. No engine is opened then.
            demo: play the suggested prompts. Nothing of the user's is written but the conversation.
        """
        # Before anything is made: a change of the theme costs another reading of every style.
        self.set_reactive(App.theme, themes.known_or_default(settings.theme))
        super().__init__()
        self.stylesheet = ParsedStyles(variables=self.get_css_variables())
        self.settings = settings
        self._settings_file = SettingsFile(settings_file, saved or settings)
        self.store = EngineStore(paths.engine_store())
        self.history = ConversationFile(paths.conversation_folder())
        self.votes = Votes()
        self.save_failures = SaveFailures(self.history, self._settings_file)
        self.left, self.right = (side_class(name, self._side_changed) for name in ("left", "right"))
        self._interpreters = InterpreterSearch(
            lambda: self.settings.interpreters, start_worker, self.report_error
        )
        self._engines = {
            side: EngineLifecycle(
                side, self.store, paths.log_folder(), self.start_worker, self._build_changed
            )
            for side in self.sides
        }
        self.quality = QualityJob(self._interpreters.start_worker)
        self.snapshots: Signal[Snapshot] = Signal(self, "snapshot")
        self.side_changed: Signal[Side] = Signal(self, "side changed")
        self.build_changed: Signal[str] = Signal(self, "build changed")
        self.settings_changed: Signal[Settings] = Signal(self, "settings changed")
        self.unsaved_changed: Signal[str] = Signal(self, "unsaved changed")
        self._unsaved = ""
        self.device, *others = devices()
        self.gpu: Device | None = others[0] if others else None
        self.gpus = tuple(others)
        self.energy = EnergyCounter()
        self.navigation = Navigation(self)
        self._notifications_of_engines = EngineNotifications(self, self.navigation)
        self.sampler = TelemetrySampler(lambda: self.sides, lambda: self.devices, self._sample_failed)
        self._quitting = False
        self._replay = replay
        self.keeps_prompts = demo is None
        self.demo = demo and Demo(self, demo)
        register_all(environments(paths.environment_folder()))
        if conversation:
            self.open_conversation(read_record(conversation), conversation)

    @property
    def sides(self) -> tuple[Side, Side]:
        """Left and right, as on the screen."""
        return self.left, self.right

    @property
    def devices(self) -> tuple[Device, ...]:
        """The CPU and the GPUs."""
        return (self.device, *self.gpus)

    @property
    def start_worker(self) -> StartWorker:
        """What starts workers, in the interpreter that their backend needs."""
        return self._interpreters.start_worker

    @property
    def builds(self) -> dict[str, BuildState]:
        """The last preparation of each side that had one, by the name of the side."""
        return {side.name: side.build for side in self.sides if side.build}

    def engine(self, side: Side) -> EngineLifecycle:
        """Return the owner of a side's engine."""
        return self._engines[side]

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Return the colours of our widgets for themes that do not set them."""
        return themes.variable_defaults(self.current_theme.dark)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Return the entries of the command palette: everything that the app can do."""
        yield from super().get_system_commands(screen)
        yield from commands(self, screen)

    async def on_mount(self) -> None:
        """Show the chat; or Models, until engines have been chosen once; or the replay."""
        collect_seldom()
        self.theme_changed_signal.subscribe(self, lambda theme: self.change_settings(theme=theme.name))
        self.run_worker(self.sampler.run(), group="sampler", exit_on_error=False)
        self.run_worker(self._retry_saving(), group="retry", exit_on_error=False)
        if self._replay:
            await self.open_replay(self._replay)
        elif self.settings.chosen:
            await self.push_screen(self.navigation.create("chat"))
            # After the first frame: the workers' own start takes every core.
            self.call_after_refresh(self._open_chosen)
            if self.demo:
                self.call_after_refresh(self.demo.begin)
        else:
            self.navigation.open("models")
        # After `open_engines`, so that the first snapshot has the chosen engines.
        self.call_after_refresh(self.set_interval, SNAPSHOT_SECONDS, self._publish_snapshot)

    async def on_event(self, event: Event) -> None:
        """Let a demo stop at the first key, before anything else gets it."""
        if not (self.demo and self.demo.stops_at(event)):
            await super().on_event(event)

    def action_open(self, name: str) -> None:
        """Open a screen."""
        self.navigation.open(name)

    def action_open_or_close(self, name: str) -> None:
        """Open a screen, or close it."""
        self.navigation.toggle(name)

    async def action_new_conversation(self) -> None:
        """Go to the chat and start a new conversation there."""
        if not self.screen.is_modal:
            self.navigation.open("chat")
            await self.run_action("screen.new_conversation")

    def action_redraw(self) -> None:
        """Write every cell of the screen to the terminal again, as Ctrl+L does in a shell."""
        self.refresh()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Show F9 only while a side has failed."""
        return action != "restart_failed" or any(
            side.phase is Phase.FAILED or side.is_unresponsive for side in self.sides
        )

    def action_restart_failed(self) -> None:
        """Open the engines of failed sides again."""
        self.restart_failed()

    def show_chat(self) -> None:
        """Close the screens above the chat."""
        self.navigation.show_chat()

    async def _retry_saving(self) -> None:
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            await self.save_failures.retry()

    def _publish_snapshot(self) -> None:
        if (unsaved := self.save_failures.text) != self._unsaved:
            self._unsaved = unsaved
            self.unsaved_changed.publish(unsaved)
        try:
            snapshot = self.sampler.snapshot()
        except Exception as error:  # a figure that cannot be computed must not end the app's timer
            self.sampler.report(error)
        else:
            self.snapshots.publish(snapshot)

    def _sample_failed(self, error: Exception) -> None:
        self.log.error(error)
        self.notify(f"The panels miss a measurement: {error!r}", severity="warning", markup=False)

    @property
    def settings_path(self) -> Path | None:
        """The settings file; None if the settings are not saved."""
        return self._settings_file.path

    def change_settings(self, **changes: object) -> None:
        """Replace the named settings, publish and save them.

        If saving fails, they hold for this session, and are written every RETRY_SECONDS until that succeeds.
        """
        settings = msgspec.structs.replace(self.settings, **changes)
        if settings == self.settings:
            return
        self.settings = settings
        self._settings_file.set_pending(settings)
        if self.is_running:
            self.settings_changed.publish(settings)
            self.run_worker(self._save_settings(), group="settings", exit_on_error=False)

    async def _save_settings(self) -> None:
        known = self._settings_file.failures
        try:
            await asyncio.to_thread(self._settings_file.write)
        except OSError as error:
            if known:  # the header shows it
                return
            self.notify(f"The settings cannot be saved: {error}", severity="warning", markup=False)

    async def on_unmount(self) -> None:
        """Save settings that were not saved yet; after an exception, close the engines too."""
        if self.crashed.is_set():
            await self._close_engines()
        with contextlib.suppress(OSError):  # the screen is closed: there is no place for a message
            self._settings_file.write()
        self.history.close()

    def choose(self, checkpoint: str, context: int, choices: Mapping[str, EngineChoice]) -> None:
        """Save what was chosen on Models for one or both sides, by name, then open their engines."""
        others = (name for name in self.settings.recent if name != checkpoint)
        recent = (checkpoint, *others)[:RECENT_CHECKPOINTS]
        changes = with_own_files(self.settings, checkpoint, choices)
        self.change_settings(context=context, chosen=True, recent=recent, **changes)
        self.open_engines(tuple(choices))

    async def _open_chosen(self) -> None:
        """Open the engines of the settings; whether a side can run a GGUF file is read in a thread."""
        gpu = gpu_of("right", self.settings.right.device, self.gpus, self.settings.right.gpus)
        device = device_of(DEQUANTISING_BACKEND, self.device, gpu)
        self.open_engines(await asyncio.to_thread(sides_to_open, self.settings, device))

    def open_engines(self, names: tuple[str, ...]) -> None:
        """Open the engines that the settings name for these sides."""
        engines = [self._engines[side] for side in self.sides if side.name in names]
        swap = EngineSwap(engines, self._make_room)
        for engine in engines:
            choice = self.settings.left if engine.side.name == "left" else self.settings.right
            gpu = gpu_of(engine.side.name, choice.device, self.gpus, choice.gpus)
            engine.open(engine_spec(self.settings, choice, self.device, gpu), swap)

    async def _make_room(self, titles: tuple[str, ...], missing: int) -> bool:
        """Ask whether running engines may be unloaded."""
        from app.screens.make_room import MakeRoomScreen

        answered, agreed = asyncio.Event(), False

        def answer(result: bool | None) -> None:
            nonlocal agreed
            agreed = bool(result)
            answered.set()

        question = MakeRoomScreen(titles, missing)
        self.push_screen(question, answer)
        try:
            await answered.wait()
        finally:
            question.dismiss(False)  # nothing, unless the openings were cancelled
        return agreed

    def restart_failed(self) -> None:
        """Open the engines again of sides that failed or do not respond."""
        for engine in self._engines.values():
            engine.restart()

    def cancel_builds(self) -> None:
        """Cancel every preparation."""
        for engine in self._engines.values():
            engine.cancel_opening()

    async def find_interpreters(self) -> None:
        """Find the interpreters of backends that need their own, and report once which cannot be used."""
        await self._interpreters.run()

    async def _save_load_time(self, side: Side, seconds: float) -> None:
        if spec := side.spec:
            await asyncio.to_thread(save_load_time, spec.checkpoint, spec.backend, spec.precision, seconds)

    async def _show_load_time(self, build: BuildState, prepared: PreparedEngine) -> None:
        """Let a build show what loading its engine took the last time."""
        spec, times = prepared.spec, await asyncio.to_thread(read_load_times)
        build.load_seconds = times.get(load_key(spec.checkpoint, spec.backend, spec.precision))

    def _build_changed(self, side: Side, step: Step | None) -> None:
        if not self.is_running or isinstance(step, (Progress, Log)):  # polled: a worker may send thousands
            return
        self.build_changed.publish(side.name)
        if isinstance(step, PreparedEngine) and side.build:
            self.run_worker(self._show_load_time(side.build, step), exit_on_error=False)
        if isinstance(step, Ready):
            side.machine = machine_of(side.spec, self.devices)
            if not step.handed_over:
                self.run_worker(self._save_load_time(side, step.load_seconds), exit_on_error=False)
        if side.build and not side.build.running:
            self._keep_running_choices()
            self._notifications_of_engines.opened(side)
            if self.navigation.shows("models") and all(state.ready for state in self.builds.values()):
                self.show_chat()

    def _keep_running_choices(self) -> None:
        """After an opening that replaced nothing, let the settings name the engines that still run."""
        engines = self._engines.values()
        if any(engine.is_opening for engine in engines):
            return
        if any(engine.kept for engine in engines):
            self.change_settings(**choices_of({one.side.name: one.wanted for one in engines if one.wanted}))

    def _side_changed(self, side: Side) -> None:
        if self.is_running:
            self.side_changed.publish(side)
            self._notifications_of_engines.phase_changed(side)

    def swap(self) -> None:
        """Exchange left and right: the names stay in place, engines and conversations move."""
        self.left, self.right = self.right, self.left
        self.left.name, self.right.name = "left", "right"
        self.change_settings(**swapped(with_gpus(self.settings, self.gpus)))

    def open_conversation(self, record: Record, path: Path | None) -> None:
        """Show a conversation on both sides, with its system prompts and sampling.

        One without a path gets a file with its first prompt.
        """
        record = self.history.reopen(record, path)
        if self.history.is_copy:
            words = "This conversation is open in another window. You are working on a copy."
            self.notify(words, severity="warning", timeout=8)
        for side in self.sides:
            side.conversation = record.sides[side.name]
        self.votes = record.votes
        if changes := restored_options(record, self.settings):
            message = restored_options_text(changes, self.settings)
            self.change_settings(**changes)
            self.notify(f"{message}\nF4 changes it.", timeout=8, markup=False)

    async def open_replay(self, record: Record) -> None:
        """Replay a conversation that has a turn, without any engine."""
        from app.screens.replay import ReplayScreen  # imported when it is first opened, as other screens are

        await self.push_screen(ReplayScreen(record))

    async def action_quit(self) -> None:
        """Close both engines, then quit; pressing the key twice changes nothing."""
        if not self._quitting:
            self._quitting = True
            self.notify("Closing the engines …")
            self.run_worker(self._quit(), group="quit", exit_on_error=False)

    async def _quit(self) -> None:
        try:
            await self._close_engines()
        finally:
            self.exit()

    async def _close_engines(self) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                ends = (engine.close() for engine in self._engines.values())
                await asyncio.gather(self.quality.close(), *ends, return_exceptions=True)
