"""The command palette: Textual's, but it does not search once it is closed."""

from __future__ import annotations

from textual import events, on
from textual.command import CommandList, CommandPalette
from textual.widgets import Input

from app.late_errors import has_lines
from app.screens.guarded_screen import GuardedScreen


class Palette(CommandPalette, GuardedScreen[None]):
    """A palette that survives keys which arrive while it closes.

    Textual's starts a search for each change of the input, also for one that was queued when the palette was
    dismissed; the search then queries children that have been removed.
    """

    # Handlers of a subclass run first.
    @on(Input.Changed)
    def drop_late_change(self, event: Input.Changed) -> None:
        """Drop a change after the palette was closed."""
        if self not in self.app.screen_stack:
            event.stop()
            event.prevent_default()

    def _action_command_list(self, action: str) -> None:
        # Its keys go to the palette, which passes them on: `run_action` does not see the list.
        if all(map(has_lines, self.query(CommandList))):
            super()._action_command_list(action)

    def on_screen_suspend(self, _: events.ScreenSuspend) -> None:
        """End the search, also where the app closes the palette itself, as at the end of a build."""
        if self not in self.app.screen_stack:
            self.workers.cancel_node(self)
