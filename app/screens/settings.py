"""Settings: themes, interpreters and the options that no other screen has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Header, OptionList, Static
from textual.widgets.option_list import Option

from app import themes
from app.screens.playground_screen import PlaygroundScreen
from app.state.settings.setting_rows import ROWS
from app.state.settings.settings import Settings
from app.terminal_text import displayable
from app.widgets.forms.interpreter_setting import InterpreterSetting
from app.widgets.forms.setting import Setting
from app.widgets.key_footer import KeyFooter
from app.widgets.marked_lists import MarkedOptionList
from app.widgets.panels.panel_strip import HORIZONTAL_BREAKPOINTS, VERTICAL_BREAKPOINTS
from engines.environments.recipe import RECIPES

ELSEWHERE = "Checkpoint and precisions: F2. System prompt, sampling and presets: F4."


class SettingsScreen(PlaygroundScreen):
    """A list of themes, and one row for each other setting; every change is saved immediately."""

    TITLE = "Settings"
    CSS_PATH = ["../styles/forms.tcss", "../styles/settings.tcss"]  # noqa: RUF012
    HORIZONTAL_BREAKPOINTS = HORIZONTAL_BREAKPOINTS
    VERTICAL_BREAKPOINTS = VERTICAL_BREAKPOINTS
    AUTO_FOCUS = "#themes"
    HELP = """\
# Settings

Changes apply immediately and are saved to the TOML file named at the bottom. To edit the file, close the app
first.
"""
    BINDINGS = [  # noqa: RUF012
        Binding("escape", "back", "Back", id="settings.back"),
    ]

    def compose(self) -> ComposeResult:
        """Yield the themes, one row per setting, and the path of the settings file."""
        settings = self.playground.settings
        yield Header()
        with VerticalScroll(id="settings", can_focus=False):
            yield MarkedOptionList(id="themes")
            for row in ROWS:
                yield Setting(row, getattr(settings, row.name))
            for backend in RECIPES:
                yield InterpreterSetting(backend, settings.interpreters.get(backend, ""))
            yield Static(ELSEWHERE, id="settings-elsewhere", markup=False)
            yield Static(_saved_in(self.playground.settings_path), id="settings-file", markup=False)
        yield KeyFooter()

    def on_mount(self) -> None:
        """List the themes, this app's first, and subscribe to changes made on other screens."""
        listed = self.query_one("#themes", OptionList)
        listed.border_title = "Theme"
        listed.border_subtitle = "↑↓ preview"
        names = theme_names(self.app)
        listed.add_options(Option(self._theme_line(name), id=name) for name in names)
        listed.highlighted = names.index(self.app.theme)
        self.playground.settings_changed.subscribe(self, self.show)

    def show(self, settings: Settings) -> None:
        """Show the current values."""
        for setting in self.query(Setting):
            setting.show(getattr(settings, setting.row.name))
        listed = self.query_one("#themes", OptionList)
        listed.highlighted = listed.get_option_index(settings.theme)

    @on(OptionList.OptionHighlighted, "#themes")
    def apply_theme(self, event: OptionList.OptionHighlighted) -> None:
        """Apply the highlighted theme immediately."""
        if event.option_id:
            self.app.theme = event.option_id

    @on(Setting.Changed)
    def change(self, event: Setting.Changed) -> None:
        """Save the changed setting."""
        self.playground.change_settings(**{event.name: event.value})

    @on(InterpreterSetting.Changed)
    def save_interpreter(self, event: InterpreterSetting.Changed) -> None:
        """Save the interpreter of a backend; workers that start from now on use it."""
        app = self.playground
        others = {name: path for name, path in app.settings.interpreters.items() if name != event.backend}
        changed = {event.backend: event.python} if event.python else {}
        app.change_settings(interpreters=others | changed)

    def action_back(self) -> None:
        """Close the screen."""
        self.dismiss()

    def _theme_line(self, name: str) -> Content:
        theme = self.app.available_themes[name]
        return Content.assemble(f"{name:<24}", ("dark" if theme.dark else "light", "$foreground-muted"))


def theme_names(app: App[Any]) -> list[str]:
    """Return the names of this app's themes, then those of Textual in alphabetical order."""
    own = [theme.name for theme in themes.THEMES]
    return own + sorted(name for name in app.available_themes if name not in own)


def _saved_in(path: Path | None) -> str:
    return f"Saved in {displayable(str(path))}" if path else "Not saved: no settings file in use."
