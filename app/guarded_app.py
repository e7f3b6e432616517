"""The part of the app that no key, byte or late message ends; what happens when an exception ends it."""

from __future__ import annotations

import contextlib
import threading
import traceback
from collections.abc import Mapping, Sequence

from rich.console import RenderableType
from rich.text import Text
from textual import actions
from textual.actions import ActionParseResult
from textual.app import App
from textual.command import CommandPalette
from textual.dom import DOMNode
from textual.driver import Driver
from textual.filter import LineFilter
from textual.message import Message
from textual.worker import Worker, WorkerState

from app.crash import as_text, crash_message, write_crash_log
from app.late_errors import can_act, cause_of, is_late, late_errors_ignored
from app.screens.playground_screen import PlaygroundScreen
from app.state.settings import paths
from app.terminal_input import tolerant
from app.widgets.safe_lines import SafeLines


class GuardedApp(App[None]):
    """An app that ignores errors of what is being removed, and reports others in plain words.

    Private methods of Textual are overridden, because an exception has no public hook: Textual prints a
    traceback with the values of local variables. `tests/app/test_crash.py` checks that they are called.
    """

    def __init__(self) -> None:
        super().__init__()
        self.crashed = threading.Event()
        """Set once an exception ends the app."""
        self._safe_lines = SafeLines()

    def get_driver_class(self) -> type[Driver]:
        """Return Textual's driver, which replaces bytes that are not UTF-8."""
        return tolerant(super().get_driver_class())

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return Textual's filters of drawn lines, and first the one that keeps them safe."""
        return [self._safe_lines, *super().get_line_filters()]

    def update_styles(self, node: DOMNode, animate: bool = True) -> None:
        """Style a node and its descendants, unless it has no place yet: mounting it styles it.

        Textual's buttons and inputs ask for it up to three times while they are created.
        """
        if node is self or node.parent is not None:
            super().update_styles(node, animate)

    def action_command_palette(self) -> None:
        """Open the command palette, unless it is open."""
        from app.command_palette import Palette  # imported when it is first opened, as screens are

        if self.use_command_palette and not any(isinstance(one, CommandPalette) for one in self.screen_stack):
            self.push_screen(Palette())  # without Textual's id: the last one may not be removed yet

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Run an action, unless its screen or widget is still being composed or being removed.

        Priority keys and keys that bubble up reach a new screen before its widgets exist.
        """
        destination = action[0] if isinstance(action, tuple) else actions.parse(action)[0]
        target = self.screen if destination == "screen" else default_namespace
        if target is not None and destination != "app" and not can_act(target):
            return False
        return await super().run_action(action, default_namespace, namespaces)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Report an exception of a background task; the app continues."""
        error = event.worker.error
        if event.state is WorkerState.ERROR and error and not is_late(error):
            self.log.error(error)
            # A file or folder that cannot be used is no bug.
            request = "" if isinstance(error, OSError) else " Please report it."
            self.report_error(f"Something went wrong: {error!r}.{request}")

    def report_error(self, message: str) -> None:
        """Show an error for some seconds."""
        self.notify(message, severity="error", timeout=8, markup=False)

    def restore_terminal(self) -> None:
        """Leave the application mode of the terminal, where the app cannot end by itself."""
        if self._driver and not self._driver.is_headless:
            with contextlib.suppress(Exception):
                self._driver.stop_application_mode()

    async def _dispatch_message(self, message: Message) -> None:
        with late_errors_ignored(self):
            await super()._dispatch_message(message)

    def _handle_exception(self, error: Exception) -> None:
        if is_late(error):
            self.log.warning(f"ignored, because its widget is being removed: {error!r}")
            return
        if not hasattr(error, "__rich__"):  # otherwise Textual calls `panic`
            self._end("".join(traceback.format_exception(cause_of(error))))
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        """Called after `_handle_exception`; instead of Textual's traceback on the terminal."""

    def panic(self, *renderables: RenderableType) -> None:
        """End the app because of an error; the details are written to a log.

        Textual's input thread calls it too.
        """
        self._end(as_text(*renderables))

    def _end(self, details: str) -> None:
        log = write_crash_log(paths.log_folder(), details)
        if self.crashed.is_set():
            return
        self.crashed.set()
        with contextlib.suppress(Exception):  # whatever is broken, the app must end
            for screen in self.screen_stack:
                if isinstance(screen, PlaygroundScreen):
                    screen.keep_typed_text()
        self.exit(return_code=1, message=Text(crash_message(details, log)))
