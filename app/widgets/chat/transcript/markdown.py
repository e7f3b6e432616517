"""Styles of Markdown and code in the colours of a Textual theme."""

from __future__ import annotations

from collections.abc import Mapping

from rich.style import Style
from rich.syntax import SyntaxTheme
from rich.theme import Theme
from textual.color import Color, ColorParseError
from textual.highlight import HighlightTheme

_NONE = Style()


class Colours:
    """Theme variables as Rich colours and styles."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def colour(self, name: str) -> str | None:
        """Return a variable as `#rrggbb`, blended with the background; None for ANSI colours."""
        colour, background = self._parse(name), self._parse("background")
        if colour is None or background is None or colour.ansi is not None:
            return None
        return background.blend(colour, colour.a).hex6 if colour.a < 1 else colour.hex6

    def style(
        self,
        name: str,
        background: str = "",
        *,
        bold: bool = False,
        underline: bool = False,
        italic: bool = False,
    ) -> Style:
        """Return a style with the colours of the theme variables `name` and `background`."""
        return Style(
            color=self.colour(name),
            bgcolor=self.colour(background) if background else None,
            bold=bold or None,
            underline=underline or None,
            italic=italic or None,
        )

    def shaded(self, name: str, strength: float) -> Style:
        """Return a readable style on a background of a share `strength` of a variable's colour, 0 to 1."""
        colour, background = self._parse(name), self._parse("background")
        if not strength or colour is None or background is None or colour.ansi is not None:
            return self.style("foreground")
        shade = background.blend(colour, strength)
        text = shade.get_contrast_text(0.9) if strength > 0.5 else self._parse("foreground")
        return Style(color=shade.blend(text, text.a).hex6 if text else None, bgcolor=shade.hex6)

    def _parse(self, name: str) -> Color | None:
        try:
            return Color.parse(self._variables.get(name, ""))
        except (
            ValueError,
            ColorParseError,
        ):  # `auto 87%`, `ansi_default 50%`, or not defined
            return None


class MarkdownStyle:
    """Styles of Markdown and of code for one Textual theme; created once and used for every block."""

    def __init__(self, colours: Colours) -> None:
        self._styles = Theme(_styles(colours)).styles
        self.syntax = ThemeSyntax(colours)
        """Of code."""

    def style(self, name: str) -> Style:
        """Return the style of Rich's name without `markdown.`, such as `em` or `link_url`."""
        return self._styles.get(f"markdown.{name}", _NONE)


class ThemeSyntax(SyntaxTheme):
    """Syntax highlighting as in Textual's own widgets, in the theme's colours."""

    def __init__(self, colours: Colours) -> None:
        self._colours = colours
        self._background = Style(bgcolor=colours.colour("surface"))
        self._styles: dict[tuple[str, ...], Style] = {}

    def get_style_for_token(self, token_type: tuple[str, ...]) -> Style:
        """Return the style of the token type, or of its nearest ancestor that has one."""
        if token_type not in self._styles:
            self._styles[token_type] = self._find(token_type)
        return self._styles[token_type]

    def _find(self, token_type: tuple[str, ...]) -> Style:
        kinds = (token_type[:length] for length in range(len(token_type), 0, -1))
        words = next((HighlightTheme.STYLES[kind] for kind in kinds if kind in HighlightTheme.STYLES), "")
        names = words.partition(" on ")[0].split()
        colour = next((name[1:] for name in names if name.startswith("$")), "foreground")
        colour = "foreground-muted" if colour == "text" else colour
        style = self._colours.style(colour, bold="bold" in names, underline="underline" in names)
        return self._background + style

    def get_background_style(self) -> Style:
        """Return the background style of code."""
        return self._background


def _styles(colours: Colours) -> dict[str, Style]:
    """Return Rich's Markdown styles by name, in the theme's colours."""
    plain = {name: colours.style("foreground") for name in ("list", "table.border")}
    headings = {f"h{level}": colours.style("primary", bold=True) for level in range(1, 7)}
    headings["h2"] = colours.style("primary", underline=True)
    styles = plain | headings | {
        "code": colours.style("text-warning", "surface"),
        "block_quote": colours.style("foreground-muted"),
        "item.bullet": colours.style("text-primary"),
        "item.number": colours.style("text-primary"),
        "table.header": colours.style("primary"),
        "link": colours.style("text-primary", underline=True),
        "link_url": colours.style("text-primary", underline=True),
        "hr": colours.style("secondary"),
    }  # fmt: skip
    return {f"markdown.{name}": style for name, style in styles.items()}
