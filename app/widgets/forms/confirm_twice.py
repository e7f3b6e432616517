"""Press a key again to confirm: for what cannot be undone, without a dialog."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from textual.app import App
from textual.dom import DOMNode
from textual.timer import Timer


class ConfirmTwice:
    """Remembers for what a key was pressed once, until something else is selected or its toast is gone."""

    def __init__(self, owner: DOMNode, on_reset: Callable[[], None] = lambda: None) -> None:
        """Create it unarmed.

        Args:
            owner: the screen whose timer ends it.
            on_reset: called when the first press expires, so that a question on the screen can be removed.
        """
        self._owner, self._on_reset = owner, on_reset
        self._target: Hashable | None = None
        self._timer: Timer | None = None

    def press(self, target: Hashable) -> bool:
        """Return whether this was the second press for `target`; the first one arms it."""
        if self.is_armed(target):
            self.reset()
            return True
        self.arm(target)
        return False

    def arm(self, target: Hashable) -> None:
        """Count a first press for `target`, as long as a toast is shown."""
        self.reset()
        self._target = target
        app: App[object] = self._owner.app
        self._timer = self._owner.set_timer(app.NOTIFICATION_TIMEOUT, self._expire)

    def is_armed(self, target: Hashable) -> bool:
        """Return whether the next press for `target` confirms."""
        return self._target is not None and target == self._target

    def select(self, target: Hashable | None) -> None:
        """Reset unless this, which is selected now, is what the key was pressed for."""
        if not self.is_armed(target):
            self.reset()

    def reset(self) -> None:
        """Forget the first press."""
        self._target = None
        if self._timer:
            self._timer.stop()
            self._timer = None

    def _expire(self) -> None:
        self.reset()
        self._on_reset()
