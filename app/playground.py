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
from textual.screen import Screen
from textual.signal import Signal
from textual.worker import Worker, WorkerState

from app import themes
from app.commands import commands
from app.engine_lifecycle import EngineLifecycle
from app.interpreter_search import InterpreterSearch
from app.navigation import Navigation
from app.notifications import EngineNotifications
from app.state.conversation.conversation_file import ConversationFile, Record, read_record
from app.state.conversation.restored_options import restored_options, restored_options_text
from app.state.prepare.build_state import BuildState
from app.state.prepare.engine_spec import engine_spec
from app.state.settings import paths
from app.state.settings.settings import EngineChoice, Settings, SettingsFile, swapped
from app.state.side.side import Side
from app.state.side.snapshot import Snapshot
from app.state.side.telemetry_sampler import TelemetrySampler
from engines.build.prepare import StartWorker, Step
from engines.build.store import EngineStore
from engines.environments.environment import environments, register_all
from engines.environments.start import start_worker
from engines.measure.energy import EnergyCounter
from engines.plan.hardware.hardware import Device, devices

SNAPSHOT_SECONDS = 0.25
CLOSE_SECONDS = 5.0
"""How long quitting waits for engines. Workers that are still there end when their stdin closes."""


class Playground(App[None]):
    """Two engines and one prompt."""

    TITLE = "trt-playground"
    NOTIFICATION_TIMEOUT = 3
    CSS_PATH = "styles/panels.tcss"
    HORIZONTAL_BREAKPOINTS = []  # noqa: RUF012 - the screens have theirs
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Quit", id="app.quit", priority=True),
        Binding("f1", "open('help')", "Help", id="app.help"),
        Binding("f2", "open('prepare')", "Prepare", id="app.prepare"),
        Binding("f3", "open('conversations')", "Conversations", id="app.conversations"),
        Binding("f4", "open('sampling')", "Sampling", id="app.sampling"),
        # Priority, because text areas bind F6 too.
        Binding("f6", "open_or_close('settings')", "Settings", id="app.settings", show=False, priority=True),
        Binding("f8", "open('store')", "Engine store", id="app.store", show=False),
        Binding("f12", "open('support')", "Backend support", id="app.support", show=False),
    ]

    def __init__(
        self,
        settings: Settings,
        settings_file: Path | None = None,
        conversation: Path | None = None,
        saved: Settings | None = None,
        start_worker: StartWorker = start_worker,
        side_class: type[Side] = Side,
    ) -> None:
        """Create the app.

        Args:
            settings: the settings to start with.
            settings_file: where changes are saved; None: they are not.
            conversation: a saved conversation to continue.
            saved: what the settings file holds, where the command line has changed some of it.
            start_worker: starts the worker processes.
            side_class: a subclass of Side that observes answers, as benchmarks do.
        """
        # Before anything is made: a change of the theme costs another reading of every style.
        self.set_reactive(App.theme, themes.known_or_default(settings.theme))
        super().__init__()
        self.settings = settings
        self._settings_file = SettingsFile(settings_file, saved or settings)
        self.store = EngineStore(paths.engine_store())
        self.history = ConversationFile(paths.conversation_folder())
        self.left, self.right = (side_class(name, self._side_changed) for name in ("left", "right"))
        self._interpreters = InterpreterSearch(
            lambda: self.settings.interpreters, start_worker, self._report_error
        )
        self._engines = {
            side: EngineLifecycle(
                side, self.store, paths.log_folder(), self._interpreters.start_worker, self._build_changed
            )
            for side in self.sides
        }
        self.snapshots: Signal[Snapshot] = Signal(self, "snapshot")
        self.side_changed: Signal[Side] = Signal(self, "side changed")
        self.build_changed: Signal[str] = Signal(self, "build changed")
        self.settings_changed: Signal[Settings] = Signal(self, "settings changed")
        self.device, *others = devices()
        self.gpu: Device | None = others[0] if others else None
        self.gpus = tuple(others)
        self.energy = EnergyCounter()
        self.navigation = Navigation(self)
        self._notifications_of_engines = EngineNotifications(self, self.navigation)
        self._sampler = TelemetrySampler(lambda: self.sides, lambda: self.devices, self._sample_failed)
        self._quitting = False
        register_all(environments(paths.environment_folder()))
        if conversation:
            self.open_conversation(read_record(conversation), conversation)

    @property
    def sides(self) -> tuple[Side, Side]:
        """Left and right, as on the screen."""
        return self.left, self.right

    @property
    def devices(self) -> tuple[Device, ...]:
        """The CPU, and the GPU that engines use, if there is one."""
        return (self.device, self.gpu) if self.gpu else (self.device,)

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
        """Show the chat; or Prepare, until engines have been chosen once."""
        self.theme_changed_signal.subscribe(self, lambda theme: self.change_settings(theme=theme.name))
        self.set_interval(SNAPSHOT_SECONDS, self._publish_snapshot)
        self.run_worker(self._sampler.run(), group="sampler", exit_on_error=False)
        if self.settings.chosen:
            await self.push_screen(self.navigation.create("chat"))
            # After the first frame: the workers' own start takes every core.
            self.call_after_refresh(self.open_engines, ("left", "right"))
        else:
            self.navigation.open("prepare")

    def action_open(self, name: str) -> None:
        """Open a screen."""
        self.navigation.open(name)

    def action_open_or_close(self, name: str) -> None:
        """Open a screen, or close it."""
        self.navigation.toggle(name)

    def show_chat(self) -> None:
        """Close the screens above the chat."""
        self.navigation.show_chat()

    def _publish_snapshot(self) -> None:
        try:
            snapshot = self._sampler.snapshot()
        except Exception as error:  # a figure that cannot be computed must not end the app's timer
            self._sampler.report(error)
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

        If saving fails, they hold for this session, and are written with the next change or at the end.
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
        try:
            await asyncio.to_thread(self._settings_file.write)
        except OSError as error:
            self.notify(f"The settings cannot be saved: {error}", severity="warning", markup=False)

    def on_unmount(self) -> None:
        """Save settings that were not saved yet."""
        with contextlib.suppress(OSError):  # the screen is closed: there is no place for a message
            self._settings_file.write()
        self.history.close()

    def choose(self, checkpoint: str, context: int, choices: Mapping[str, EngineChoice]) -> None:
        """Save what was chosen on Prepare for one or both sides, by name, then open their engines."""
        self.change_settings(checkpoint=checkpoint, context=context, chosen=True, **choices)
        self.open_engines(tuple(choices))

    def open_engines(self, names: tuple[str, ...]) -> None:
        """Open the engines that the settings name for these sides."""
        for side in self.sides:
            if side.name in names:
                choice = self.settings.left if side.name == "left" else self.settings.right
                spec = engine_spec(self.settings, choice, self.device, self.gpu)
                self._engines[side].open(spec)

    def restart_failed(self) -> None:
        """Open the engines of failed sides again."""
        for engine in self._engines.values():
            engine.restart()

    def cancel_builds(self) -> None:
        """Cancel every preparation."""
        for engine in self._engines.values():
            engine.cancel_opening()

    async def find_interpreters(self) -> None:
        """Find the interpreters of backends that need their own, and report once which cannot be used."""
        await self._interpreters.run()

    def _build_changed(self, side: Side, _: Step | None) -> None:
        if not self.is_running:
            return
        self.build_changed.publish(side.name)
        if side.build and not side.build.running:
            self._notifications_of_engines.opened(side)
            if self.navigation.shows("prepare") and all(state.ready for state in self.builds.values()):
                self.show_chat()

    def _side_changed(self, side: Side) -> None:
        if self.is_running:
            self.side_changed.publish(side)
            self._notifications_of_engines.phase_changed(side)

    def swap(self) -> None:
        """Exchange left and right: the names stay in place, engines and conversations move."""
        self.left, self.right = self.right, self.left
        self.left.name, self.right.name = "left", "right"
        self.change_settings(**swapped(self.settings))

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
        if changes := restored_options(record, self.settings):
            message = restored_options_text(changes, self.settings)
            self.change_settings(**changes)
            self.notify(f"{message}\nF4 changes it.", timeout=8, markup=False)

    async def action_quit(self) -> None:
        """Close both engines, then quit; pressing the key twice changes nothing."""
        if not self._quitting:
            self._quitting = True
            self.notify("Closing the engines …")
            self.run_worker(self._quit(), group="quit", exit_on_error=False)

    async def _quit(self) -> None:
        try:
            with contextlib.suppress(asyncio.TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    ends = (engine.close() for engine in self._engines.values())
                    await asyncio.gather(*ends, return_exceptions=True)
        finally:
            self.exit()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Report an exception of a background task; the app continues."""
        if event.state is WorkerState.ERROR:
            self.log.error(event.worker.error)
            self._report_error(f"Something went wrong: {event.worker.error!r}. Please report it.")

    def _report_error(self, message: str) -> None:
        self.notify(message, severity="error", timeout=8, markup=False)
