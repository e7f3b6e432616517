"""A finished turn in one widget: Textual's layout pays for every widget on the screen, about 50 µs each.

Rich renders its Markdown, in the colours and with the spacing of the live turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.markdown import CodeBlock, Heading, ListItem, Markdown
from rich.segment import Segment
from rich.style import Style
from rich.syntax import Syntax, SyntaxTheme
from rich.text import Text
from rich.theme import Theme
from textual.color import Color
from textual.highlight import HighlightTheme
from textual.widgets import Static

from app.state.conversation import Turn
from app.state.stream import displayable
from app.widgets.turn import figures, shown_prompt


class FoldedTurn(Static):
    """A finished turn."""

    def __init__(self, turn: Turn) -> None:
        super().__init__(classes="turn folded")
        self.turn = turn

    def render(self) -> RenderableType:
        """Prompt, Markdown and figures, one below the other."""
        colours = Colours(self.app.theme_variables)
        parts: list[RenderableType] = [
            Text(shown_prompt(self.turn.prompt), style=colours.style("foreground", bold=True))
        ]
        if self.turn.answer:
            parts += [ThemedMarkdown(displayable(self.turn.answer), colours), Text()]
        figures_colour = "text-error" if self.turn.error else "foreground-muted"
        return Group(*parts, FiguresText(self.turn, colours.style(figures_colour)))


class Colours:
    """The theme's colours as Rich wants them."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def colour(self, name: str) -> str | None:
        """Opaque, mixed with the background where the theme's is translucent; None for `ansi_default`."""
        colour, ground = (self._parse(one) for one in (name, "background"))
        if colour is None or ground is None or colour.ansi is not None:
            return None
        return ground.blend(colour, colour.a).hex6 if colour.a < 1 else colour.hex6

    def style(self, name: str, ground: str = "", *, bold: bool = False, underline: bool = False) -> Style:
        """A style with the colour of a theme variable."""
        colours = (self.colour(name), self.colour(ground) if ground else None)
        return Style(color=colours[0], bgcolor=colours[1], bold=bold or None, underline=underline or None)

    def _parse(self, name: str) -> Color | None:
        try:
            return Color.parse(self._variables.get(name, ""))
        except ValueError:  # `auto 87%`, or a variable that the theme has not
            return None


class FiguresText:
    """The figures line, broken for the width at hand."""

    def __init__(self, turn: Turn, style: Style) -> None:
        self._turn = turn
        self._style = style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(figures(self._turn, options.max_width), style=self._style)


class Item(ListItem):
    """A list item that begins at the edge, as the live turn draws it."""

    def render_bullet(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Bullet and text, the text indented."""
        style = console.get_style("markdown.item.bullet", default="none")
        lines = console.render_lines(self.elements, options.update(width=options.max_width - 2))
        for number, line in enumerate(lines):
            yield Segment("  " if number else "• ", style)
            yield from line
            yield Segment.line()

    def render_number(
        self, console: Console, options: ConsoleOptions, number: int, last_number: int
    ) -> RenderResult:
        """Number with its point, and text, the text indented."""
        style = console.get_style("markdown.item.number", default="none")
        width = len(f"{last_number}. ")
        lines = console.render_lines(self.elements, options.update(width=options.max_width - width))
        for index, line in enumerate(lines):
            yield Segment(" " * width if index else f"{number}. ".rjust(width), style)
            yield from line
            yield Segment.line()


class LeftHeading(Heading):
    """A heading at the left, whatever its level: panes are narrow."""

    LEVEL_ALIGN: ClassVar = dict.fromkeys(Heading.LEVEL_ALIGN, "left")


class Fence(CodeBlock):
    """A code block on the theme's own ground."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        code = str(self.text).rstrip()
        yield Syntax(code, self.lexer_name, theme=self.theme, word_wrap=True, padding=(1, 2))


class ThemeSyntax(SyntaxTheme):
    """Code as Textual highlights it, in the theme's colours."""

    def __init__(self, colours: Colours) -> None:
        self._colours = colours
        self._ground = Style(bgcolor=colours.colour("surface"))

    def get_style_for_token(self, token_type: tuple[str, ...]) -> Style:
        """Of the token's kind, or of the nearest more general one that has a style."""
        kinds = (token_type[:length] for length in range(len(token_type), 0, -1))
        words = next((HighlightTheme.STYLES[kind] for kind in kinds if kind in HighlightTheme.STYLES), "")
        names = words.partition(" on ")[0].split()
        colour = next((name[1:] for name in names if name.startswith("$")), "foreground")
        colour = "foreground-muted" if colour == "text" else colour
        style = self._colours.style(colour, bold="bold" in names, underline="underline" in names)
        return self._ground + style

    def get_background_style(self) -> Style:
        """The ground alone."""
        return self._ground


class ThemedMarkdown(Markdown):
    """Markdown in the theme's colours."""

    elements: ClassVar = Markdown.elements | {
        "heading_open": LeftHeading,
        "list_item_open": Item,
        "fence": Fence,
        "code_block": Fence,
    }

    def __init__(self, text: str, colours: Colours) -> None:
        super().__init__(text, code_theme=ThemeSyntax(colours), hyperlinks=False)  # type: ignore[arg-type]
        self._theme = Theme(markdown_styles(colours))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with console.use_theme(self._theme):
            # Rendered here and now: a generator would run after the theme is gone.
            yield from list(super().__rich_console__(console, options))


def markdown_styles(colours: Colours) -> dict[str, Style]:
    """Rich's names for what Markdown is made of, in the colours of Textual's Markdown widget."""
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
