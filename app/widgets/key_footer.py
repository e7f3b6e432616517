"""The footer with the keys of what has the focus."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.binding import ActiveBinding
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

CHECK_SECONDS = 1.0
ESSENTIAL = ("open_or_close('go-to')", "open_or_close('help')", "quit")
"""Actions whose keys are always shown, at the end."""
WIDE = 100
"""Columns from which the palette is shown too."""


class KeyFooter(Footer):
    """A footer that shows as many keys as fit: those of the focused part, of its screen, then of the app.

    The keys are mounted again only when they have changed: Textual does so whenever the focus moves or a
    screen opens, several times in a row, and 16 keys take 30 ms. It misses changes while a screen is being
    opened, so the keys are compared once a second too.
    """

    def __init__(self) -> None:
        super().__init__(compact=True)
        self._shown: list[tuple[object, ...]] | None = None

    def on_mount(self) -> None:
        """Compare the keys once a second."""
        self.set_interval(CHECK_SECONDS, self._check)

    def _check(self) -> None:
        """Compare the keys of the screen on top, after a refresh: one comparison at a time."""
        if self.screen.is_current:
            self.bindings_changed(self.screen)

    def on_resize(self, _: events.Resize) -> None:
        """Show more or fewer keys."""
        self.bindings_changed(self.screen)

    def compose(self) -> ComposeResult:
        """Yield the keys that fit."""
        for _, binding, enabled, tooltip in self._fitting():
            shown, words = self.app.get_key_display(binding), binding.description
            # The class that Textual adds once a key is mounted, and then styles it again.
            yield FooterKey(
                binding.key, shown, words, binding.action, not enabled, tooltip, classes="-compact"
            ).data_bind(compact=Footer.compact)

    async def recompose(self) -> None:
        """Mount the keys again, unless the same ones are shown."""
        keys: list[tuple[object, ...]] = [
            (binding.key, binding.key_display, binding.description, binding.action, enabled, tooltip)
            for _, binding, enabled, tooltip in self._fitting()
        ]
        if keys != self._shown or not self.children:
            await super().recompose()
            self._shown = keys

    def _fitting(self) -> list[ActiveBinding]:
        """Return the keys that fit into the width, in the order in which they are shown."""
        offered = self._offered()
        essential = [*ESSENTIAL, "command_palette"] if self.size.width >= WIDE else ESSENTIAL
        last = [one for action in essential for one in offered if one.binding.action.endswith(action)]
        space = self.size.width - sum(map(self._width, last))
        first = []
        for one in offered:
            if one.binding.show and one not in last and (width := self._width(one)) <= space:
                first.append(one)
                space -= width
        return first + last

    def _offered(self) -> list[ActiveBinding]:
        """Return the first key of each action, those of the focused part first.

        Textual lists a key of the app at the place of the focused part's that it overrides.
        """
        screen = self.screen
        nodes = list((screen.focused or screen).ancestors_with_self)
        by_action: dict[str, ActiveBinding] = {}
        for one in screen.active_bindings.values():
            if one.binding.show or one.binding.key == self.app.COMMAND_PALETTE_BINDING:
                by_action.setdefault(one.binding.action, one)
        return sorted(by_action.values(), key=lambda one: (nodes.index(one.node), _place(one)))

    def _width(self, one: ActiveBinding) -> int:
        """Return the columns of a key: its name, its words, and a space between and after them."""
        return len(self.app.get_key_display(one.binding)) + len(one.binding.description) + 2


def _place(one: ActiveBinding) -> int:
    """Return the place of a binding among those of its class; inherited ones come last."""
    actions = [getattr(binding, "action", "") for binding in type(one.node).BINDINGS]
    return actions.index(one.binding.action) if one.binding.action in actions else len(actions)
