"""Left and right are distinguishable and readable in this app's themes and in those of Textual."""

from __future__ import annotations

from dataclasses import replace

import pytest
from textual.app import App
from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme

from app.themes import THEMES, variable_defaults
from tests.app.rendered import contrast, linear
from tests.app.still import StillPlayground, chat_answered

VARIABLES = tuple(variable_defaults())
BACKGROUNDS = ("background", "surface", "panel")
TEXTS = ("foreground", "foreground-muted", "primary", "error", "text-error", "text-warning", "text-success")
SOLID = [theme for theme in (*THEMES, *BUILTIN_THEMES.values()) if not theme.ansi]
# Machado et al. 2009, complete dichromacy, for linear RGB.
BLIND = {
    "protanopia": ((0.152, 1.053, -0.205), (0.115, 0.786, 0.099), (-0.004, -0.048, 1.052)),
    "deuteranopia": ((0.367, 0.861, -0.228), (0.280, 0.673, 0.047), (-0.012, 0.043, 0.969)),
}


def colours(theme: Theme) -> dict[str, Color]:
    """Return the colours of a theme with this app's variable defaults."""
    system = replace(theme).to_color_system().generate()
    variables = {**variable_defaults(theme.dark), **system, **theme.variables}
    return {name: Color.parse(variables[name]) for name in (*VARIABLES, *BACKGROUNDS, *TEXTS)}


def test_two_themes_are_dark_and_two_are_light() -> None:
    assert sorted(theme.dark for theme in THEMES) == [False, False, True, True]
    assert len({theme.name for theme in THEMES}) == 4


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_themes_set_every_variable_with_readable_text(theme: Theme) -> None:
    assert set(theme.variables) >= set(VARIABLES)
    shown = colours(theme)
    for name in VARIABLES:
        assert contrast(shown[name], shown["background"]) >= 4.5, name
    for colour in (theme.primary, theme.error, theme.warning, theme.success, theme.foreground):
        assert contrast(Color.parse(colour or ""), shown["background"]) >= 4.5, colour


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_text_is_readable_on_every_background(theme: Theme, background: str) -> None:
    shown = colours(theme)
    below = shown[background]
    for name in (*TEXTS, "left", "right"):
        assert contrast(below.blend(shown[name], shown[name].a, alpha=1), below) >= 4.5, name


@pytest.mark.parametrize("theme", SOLID, ids=lambda theme: theme.name)
def test_defaults_are_visible_in_every_theme(theme: Theme) -> None:
    shown = colours(theme)
    for name in VARIABLES:
        assert contrast(shown[name], shown["background"]) >= 3, name


@pytest.mark.parametrize("blindness", BLIND)
@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_left_and_right_differ_for_the_colour_blind(theme: Theme, blindness: str) -> None:
    shown = colours(theme)
    left, right = (
        [sum(a * b for a, b in zip(row, linear(shown[side]), strict=True)) for row in BLIND[blindness]]
        for side in ("left", "right")
    )
    assert max(abs(a - b) for a, b in zip(left, right, strict=True)) > 0.15


async def test_every_theme_loads_with_the_variables() -> None:
    class Themed(App[None]):
        CSS = "Screen { color: $left; background: $memory-other-processes; border: solid $kv-reused; }"

        def get_theme_variable_defaults(self) -> dict[str, str]:
            return variable_defaults(self.current_theme.dark)

    app = Themed()
    for theme in THEMES:
        app.register_theme(theme)
    async with app.run_test() as pilot:
        for name in app.available_themes:
            app.theme = name
            await pilot.pause()
            assert app.theme_variables["left"]


async def test_themes_of_the_terminals_own_colours_are_drawn() -> None:
    """Their colours cannot be computed with."""
    names = [name for name, theme in BUILTIN_THEMES.items() if theme.ansi]
    assert names
    app = StillPlayground("playground-dark", chosen=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await chat_answered(pilot)
        for name in names:
            app.theme = name
            await pilot.press("f4", "escape", "f12", "escape")
            assert app.theme == name
