"""The Textual app: settings, the conversation, start and stop of engines."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import ClassVar

import msgspec
from textual.app import App
from textual.binding import Binding, BindingType
from textual.signal import Signal
from textual.worker import Worker, WorkerState

from app import themes
from app.engine_lifecycle import close_sides, open_side
from app.navigation import Navigation
from app.notifications import tell_death
from app.state.conversation.conversation_file import ConversationFile, Record, read_record
from app.state.conversation.restored_options import restored_options, restored_options_text
from app.state.prepare.build_state import BuildState
from app.state.settings import paths
from app.state.settings.interpreters import register_known
from app.state.settings.settings import EngineChoice, Settings, SettingsFile, swapped
from app.state.side.side import Side
from app.state.side.snapshot import Phase, Snapshot
from app.state.side.telemetry_sampler import TelemetrySampler
from engines.build.prepare import StartWorker
from engines.build.store import EngineStore
from engines.environments.environment import environments, register_all
from engines.environments.start import start_worker
from engines.measure.energy import EnergyCounter
from engines.plan.hardware.hardware import Device, devices
from engines.plan.hardware.placement import device_of

SNAPSHOT_SECONDS = 0.25


class Playground(Navigation):
    """Two engines and one prompt."""

    TITLE = "trt-playground"
    NOTIFICATION_TIMEOUT = 3
    CSS_PATH = "styles/panels.tcss"
    HORIZONTAL_BREAKPOINTS = []  # noqa: RUF012 - the screens have theirs
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+q", "quit", "Quit", id="app.quit", priority=True)]

    def __init__(
        self,
        settings: Settings,
        settings_file: Path | None = None,
        conversation: Path | None = None,
        *,
        start_worker: StartWorker = start_worker,
    ) -> None:
        """Create the app.

        Args:
            conversation: a saved one to continue.
            start_worker: how the engines' processes are started.
        """
        # Before anything is made: a change of the theme costs another reading of every style.
        self.set_reactive(App.theme, themes.known(settings.theme))
        super().__init__()
        self.settings = settings
        self.store = EngineStore(paths.engine_store())
        self.left = Side("left", self.store, paths.log_folder(), self._side_changed, start_worker)
        self.right = Side("right", self.store, paths.log_folder(), self._side_changed, start_worker)
        self.history = ConversationFile(paths.conversation_folder())
        self.builds: dict[str, BuildState] = {}
        self.snapshots: Signal[Snapshot] = Signal(self, "snapshot")
        self.side_changed: Signal[Side] = Signal(self, "side changed")
        self.build_changed: Signal[str] = Signal(self, "build changed")
        self.settings_changed: Signal[Settings] = Signal(self, "settings changed")
        self.device, *others = devices()
        self.gpu: Device | None = others[0] if others else None
        self.gpus = tuple(others)
        register_all(environments(paths.environment_folder()))
        self._settings_file = SettingsFile(settings_file)
        self._sampler = TelemetrySampler(lambda: self.sides, lambda: self.devices)
        self.energy = EnergyCounter()
        self._opening: dict[str, Worker[None]] = {}
        self._interpreter_problems = list[str]()
        self._quitting = False
        if conversation:
            self.go_on_with(read_record(conversation), conversation)

    @property
    def sides(self) -> tuple[Side, Side]:
        """Left and right, as they stand on the screen."""
        return self.left, self.right

    @property
    def devices(self) -> tuple[Device, ...]:
        """The CPU, and the GPU that engines use where there is one."""
        return (self.device, self.gpu) if self.gpu else (self.device,)

    def device_for(self, backend: str) -> Device:
        """Where a backend runs."""
        return device_of(backend, self.device, self.gpu)

    @property
    def opening(self) -> tuple[Worker[None], ...]:
        """The workers that prepare engines, and those that did."""
        return tuple(self._opening.values())

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Colours of our widgets for themes that do not set them."""
        return themes.variable_defaults(self.current_theme.dark)

    async def on_mount(self) -> None:
        """Show the chat; or Prepare, until engines have been chosen once."""
        self.theme_changed_signal.subscribe(self, lambda theme: self.change_settings(theme=theme.name))
        self.set_interval(SNAPSHOT_SECONDS, lambda: self.snapshots.publish(self._sampler.snapshot()))
        self.run_worker(self._sampler.run(), group="sampler", exit_on_error=False)
        # Every screen is imported and composed when it is shown: the first frame waits for its own only.
        if self.settings.chosen:
            from app.screens.chat import ChatScreen

            await self.push_screen(ChatScreen())
            # After the first frame: the workers' own start takes every core.
            self.call_after_refresh(self.open_engines, ("left", "right"))
        else:
            self.action_prepare()

    def change_settings(self, **changes: object) -> None:
        """Replace the settings and save them; a disk that refuses costs the memory of it, nothing more."""
        settings = msgspec.structs.replace(self.settings, **changes)
        if settings == self.settings:
            return
        self.settings = settings
        self._settings_file.want(settings)
        if self.is_running:
            self.settings_changed.publish(settings)
            self.run_worker(self._save_settings(), group="settings", exit_on_error=False)

    async def _save_settings(self) -> None:
        try:
            await asyncio.to_thread(self._settings_file.write)
        except OSError as error:
            self.notify(f"The settings cannot be saved: {error}", severity="warning", markup=False)

    def on_unmount(self) -> None:
        """Save what was changed last, if the worker that should do it did not come to it."""
        with contextlib.suppress(OSError):  # there is no screen any more to say it on
            self._settings_file.write()

    @property
    def settings_path(self) -> Path | None:
        """Where the settings are kept."""
        return self._settings_file.path

    def choose(
        self, checkpoint: str, context: int, left: EngineChoice, right: EngineChoice, names: tuple[str, ...]
    ) -> None:
        """Remember what was chosen on Prepare and open the engines of `names`."""
        self.change_settings(checkpoint=checkpoint, context=context, left=left, right=right, chosen=True)
        self.open_engines(names)

    async def find_interpreters(self) -> None:
        """Look for the interpreters of backends beside the event loop, and say once which cannot be used."""
        problems = await asyncio.to_thread(register_known, self.settings.interpreters)
        if problems and problems != self._interpreter_problems:
            words = "; ".join(problems)
            self.notify(f"{words}. F6 names another.", severity="error", timeout=8, markup=False)
        self._interpreter_problems = problems

    def open_engines(self, names: tuple[str, ...]) -> None:
        """Prepare and load engines, each in a worker of its own."""
        for side in self.sides:
            if side.name in names:
                self._opening[side.name] = self.run_worker(
                    open_side(self, side), group=f"open {side.name}", exit_on_error=False
                )

    def restart_failed(self) -> None:
        """Start the engines of failed sides again."""
        self.open_engines(tuple(side.name for side in self.sides if side.phase is Phase.FAILED))

    def cancel_builds(self) -> None:
        """Kill what is being prepared."""
        for worker in self.opening:
            worker.cancel()

    def swap(self) -> None:
        """Let the sides change places: names belong to places, engines and conversations move."""
        self.left, self.right = self.right, self.left
        self.left.name, self.right.name = "left", "right"
        self.builds = {{"left": "right", "right": "left"}[name]: state for name, state in self.builds.items()}
        self.change_settings(**swapped(self.settings))

    def go_on_with(self, record: Record, path: Path | None) -> None:
        """Let both sides hold this conversation, and be asked as they were in it.

        One without a path gets a file with its first prompt.
        """
        self.history.reopen(path)
        for side in self.sides:
            side.conversation = record.sides[side.name]
        if changes := restored_options(record, self.settings):
            words = restored_options_text(changes, self.settings)
            self.change_settings(**changes)
            self.notify(f"{words}\nF4 changes it.", timeout=8, markup=False)

    async def action_quit(self) -> None:
        """Close both engines beside the event loop, then leave; pressing it twice changes nothing."""
        if not self._quitting:
            self._quitting = True
            self.notify("Closing the engines …")
            self.run_worker(self._quit(), group="quit", exit_on_error=False)

    async def _quit(self) -> None:
        try:
            await close_sides(self)
        finally:
            self.exit()

    def _side_changed(self, side: Side) -> None:
        if self.is_running:
            self.side_changed.publish(side)
            tell_death(self, side)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A bug in a worker is told, and the app goes on."""
        if event.state is WorkerState.ERROR:
            self.log.error(event.worker.error)
            words = f"Something went wrong: {event.worker.error!r}. Please report it."
            self.notify(words, severity="error", timeout=8, markup=False)
