"""The screens of the app, and the keys and commands that open them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from app.commands import commands
from app.state.settings.settings import Settings
from engines.build.store import EngineStore
from engines.plan.hardware.hardware import Device


class Navigation(App[None]):
    """Opens the screens. Each is imported when it is opened, so that the first frame loads only its own."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "help", "Help", id="app.help"),
        Binding("f2", "prepare", "Prepare", id="app.prepare"),
        Binding("f3", "conversations", "Conversations", id="app.conversations"),
        Binding("f4", "sampling", "Sampling", id="app.sampling"),
        # Text areas have F6 too.
        Binding("f6", "settings", "Settings", id="app.settings", show=False, priority=True),
        Binding("f8", "store", "Engine store", id="app.store", show=False),
        Binding("f12", "support", "Backend support", id="app.support", show=False),
    ]
    settings: Settings
    store: EngineStore
    device: Device

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Everything the app can do, in the command palette."""
        yield from super().get_system_commands(screen)
        yield from commands(self, screen)

    def show_chat(self) -> None:
        """Go back to the chat."""
        from app.screens.chat import ChatScreen

        while len(self.screen_stack) > 2:
            self.pop_screen()
        if not isinstance(self.screen, ChatScreen):  # the first start began with Prepare
            self.switch_screen(ChatScreen())

    def action_prepare(self) -> None:
        """Open Prepare."""
        from app.screens.prepare import PrepareScreen

        if not isinstance(self.screen, PrepareScreen):
            self.push_screen(PrepareScreen(self.settings, self.device))

    def action_conversations(self) -> None:
        """Open the saved conversations."""
        from app.screens.conversations import ConversationsScreen

        if not isinstance(self.screen, ConversationsScreen) and not self.screen.is_modal:
            self.push_screen(ConversationsScreen())

    def action_support(self) -> None:
        """Open the table of backend support."""
        from app.screens.support import SupportScreen

        if not isinstance(self.screen, SupportScreen) and not self.screen.is_modal:
            self.push_screen(SupportScreen())

    def action_sampling(self) -> None:
        """Open Sampling."""
        from app.screens.sampling import SamplingScreen

        if not isinstance(self.screen, SamplingScreen) and not self.screen.is_modal:
            self.push_screen(SamplingScreen())

    def action_settings(self) -> None:
        """Open the settings, or close them."""
        from app.screens.settings import SettingsScreen

        if isinstance(self.screen, SettingsScreen):
            self.pop_screen()
        elif not self.screen.is_modal:
            self.push_screen(SettingsScreen())

    def action_store(self) -> None:
        """Open the engine store."""
        from app.screens.store import StoreScreen

        if not isinstance(self.screen, StoreScreen):
            self.push_screen(StoreScreen(self.store))

    def action_help(self) -> None:
        """Open the help."""
        from app.screens.help import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self.screen.focused))
