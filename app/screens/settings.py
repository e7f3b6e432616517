"""Settings: what has no better place, and where all of it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, Header, OptionList, Static
from textual.widgets.option_list import Option

from app import themes
from app.state.settings.setting_rows import ROWS
from app.state.settings.settings import Settings
from app.state.side.pacing import displayable
from app.widgets.forms.interpreter_setting import InterpreterSetting
from app.widgets.forms.setting import Setting
from app.widgets.panels.panel_strip import HORIZONTAL_BREAKPOINTS, VERTICAL_BREAKPOINTS
from engines.environments.recipe import RECIPES

if TYPE_CHECKING:
    from app.playground import Playground

ELSEWHERE = "Checkpoint and precisions: F2. System prompts, sampling and presets: F4."


class SettingsScreen(Screen[None]):
    """A list of themes, and a row for every other setting."""

    TITLE = "Settings"
    CSS_PATH = ["../styles/forms.tcss", "../styles/settings.tcss"]  # noqa: RUF012
    HORIZONTAL_BREAKPOINTS = HORIZONTAL_BREAKPOINTS
    VERTICAL_BREAKPOINTS = VERTICAL_BREAKPOINTS
    AUTO_FOCUS = "#themes"
    HELP = """\
# Settings

Every change counts at once and is saved. The file is TOML, and may be edited while the app is closed.
"""
    BINDINGS = [  # noqa: RUF012
        Binding("escape", "back", "Back", id="settings.back"),
        Binding("f4", "app.open('sampling')", "Sampling", id="settings.sampling"),
    ]
    app: Playground

    def compose(self) -> ComposeResult:
        """Themes, rows, the file."""
        yield Header()
        with VerticalScroll(id="settings", can_focus=False):
            yield OptionList(id="themes")
            for row in ROWS:
                yield Setting(row, getattr(self.app.settings, row.name))
            for backend in RECIPES:
                yield InterpreterSetting(backend, self.app.settings.interpreters.get(backend, ""))
            yield Static(ELSEWHERE, id="settings-elsewhere", markup=False)
            yield Static(_where(self.app), id="settings-file", markup=False)
        yield Footer(compact=True)

    def on_mount(self) -> None:
        """List the themes, ours first; follow changes that are made elsewhere."""
        listed = self.query_one("#themes", OptionList)
        listed.border_title = "Theme"
        listed.border_subtitle = "an arrow key shows the next one"
        names = theme_names(self.app)
        listed.add_options(Option(self._theme_line(name), id=name) for name in names)
        listed.highlighted = names.index(self.app.theme)
        self.app.settings_changed.subscribe(self, self.show)

    def show(self, settings: Settings) -> None:
        """Show the settings as they are."""
        for setting in self.query(Setting):
            setting.show(getattr(settings, setting.row.name))
        listed = self.query_one("#themes", OptionList)
        listed.highlighted = listed.get_option_index(settings.theme)

    @on(OptionList.OptionHighlighted, "#themes")
    def apply_theme(self, event: OptionList.OptionHighlighted) -> None:
        """The highlighted theme is the chosen one: it is seen at once."""
        if event.option_id:
            self.app.theme = event.option_id

    @on(Setting.Changed)
    def change(self, event: Setting.Changed) -> None:
        """Keep it."""
        self.app.change_settings(**{event.name: event.value})

    @on(InterpreterSetting.Changed)
    def name_interpreter(self, event: InterpreterSetting.Changed) -> None:
        """Keep it; engines that are started from now on run with it."""
        others = {name: one for name, one in self.app.settings.interpreters.items() if name != event.backend}
        named = {event.backend: event.python} if event.python else {}
        self.app.change_settings(interpreters=others | named)

    def action_back(self) -> None:
        """To the screen below."""
        self.dismiss()

    def _theme_line(self, name: str) -> Content:
        theme = self.app.available_themes[name]
        return Content.assemble(f"{name:<24}", ("dark" if theme.dark else "light", "dim"))


def theme_names(app: Playground) -> list[str]:
    """Ours, then those that come with Textual by their names."""
    ours = [theme.name for theme in themes.THEMES]
    return ours + sorted(name for name in app.available_themes if name not in ours)


def _where(app: Playground) -> str:
    path = app.settings_path
    return f"Kept in {displayable(str(path))}" if path else "Not kept: the app was started without a file."
