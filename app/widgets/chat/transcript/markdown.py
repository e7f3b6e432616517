"""Markdown by Rich, in the theme's colours, and cut into blocks while it grows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, ListItem, Markdown, TableElement
from rich.segment import Segment
from rich.style import Style
from rich.syntax import Syntax, SyntaxTheme
from rich.table import Table
from rich.theme import Theme
from textual.color import Color
from textual.highlight import HighlightTheme

# HTML is shown as it was written: a model's `<tag>` is part of what it said.
_PARSER = MarkdownIt("commonmark", {"html": False}).enable("strikethrough").enable("table")


COPY = "copy"
"""What is clicked to copy a code block."""


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

    def style(
        self,
        name: str,
        ground: str = "",
        *,
        bold: bool = False,
        underline: bool = False,
        italic: bool = False,
    ) -> Style:
        """A style with the colour of a theme variable."""
        colours = (self.colour(name), self.colour(ground) if ground else None)
        return Style(
            color=colours[0],
            bgcolor=colours[1],
            bold=bold or None,
            underline=underline or None,
            italic=italic or None,
        )

    def _parse(self, name: str) -> Color | None:
        try:
            return Color.parse(self._variables.get(name, ""))
        except ValueError:  # `auto 87%`, or a variable that the theme has not
            return None


class MarkdownStyle:
    """How Markdown looks in one theme: made once, used for every block."""

    def __init__(self, colours: Colours) -> None:
        self.theme = Theme(_styles(colours))
        self.syntax = ThemeSyntax(colours)


class ThemedMarkdown(Markdown):
    """Markdown in the theme's colours. `first_code` is the number of its first code block."""

    elements: ClassVar = Markdown.elements

    def __init__(self, text: str, style: MarkdownStyle, first_code: int = 0) -> None:
        super().__init__("", code_theme=style.syntax, hyperlinks=False)  # type: ignore[arg-type]
        self.parsed = _PARSER.parse(text)
        self.syntax = style.syntax
        self._theme = style.theme
        self._text = text
        self._first_code = first_code
        self.codes: list[str] = []
        """Text of the code blocks, once drawn."""

    @property
    def last_block(self) -> int:
        """Index of the character where the last top-level block begins; 0 where there is only one."""
        starts = [token.map[0] for token in self.parsed if token.level == 0 and token.map]
        if len(starts) < 2:
            return 0
        lines = self._text.splitlines(keepends=True)
        return sum(len(line) for line in lines[: starts[-1]])

    def next_code(self, code: str) -> int:
        """Note a code block; returns its number."""
        self.codes.append(code)
        return self._first_code + len(self.codes) - 1

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.codes.clear()
        with console.use_theme(self._theme):
            # Rendered here and now: a generator would run after the theme is gone.
            yield from list(super().__rich_console__(console, options))


class Item(ListItem):
    """A list item that begins at the edge: panes are narrow."""

    def render_bullet(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Bullet and text, the text indented."""
        style = console.get_style("markdown.item.bullet", default="none")
        lines = console.render_lines(self.elements, options.update(width=max(1, options.max_width - 2)))
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
        lines = console.render_lines(self.elements, options.update(width=max(1, options.max_width - width)))
        for index, line in enumerate(lines):
            yield Segment(" " * width if index else f"{number}. ".rjust(width), style)
            yield from line
            yield Segment.line()


class LeftHeading(Heading):
    """A heading at the left, without a box, whatever its level."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.text.justify = "left"
        yield self.text


class OpenTable(TableElement):
    """A table without the empty lines above and below."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for table in super().__rich_console__(console, options):
            if isinstance(table, Table):
                table.box = SIMPLE_HEAD
            yield table


class Fence(CodeBlock):
    """A code block on the theme's own ground, with a word to click that copies it."""

    def __init__(self, language: str, markdown: ThemedMarkdown) -> None:
        super().__init__(language, markdown.code_theme)
        self._markdown = markdown

    @classmethod
    def create(cls, markdown: Markdown, token: Token) -> Fence:
        """A block of the language that stands behind the opening fence."""
        assert isinstance(markdown, ThemedMarkdown)
        return cls((token.info.split() or ["text"])[0], markdown)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        code = str(self.text).rstrip()
        syntax = self._markdown.syntax
        ground = syntax.get_background_style()
        click = {"@click": ("copy_code", (self._markdown.next_code(code),))}
        yield Segment(" " * max(0, options.max_width - len(COPY) - 1), ground)
        yield Segment(COPY, ground + Style(meta=click, dim=True, underline=True))
        yield Segment(" ", ground)
        yield Segment.line()
        yield Syntax(code, self.lexer_name, theme=syntax, word_wrap=True, padding=(0, 2, 1, 2))


ThemedMarkdown.elements = Markdown.elements | {
    "heading_open": LeftHeading,
    "list_item_open": Item,
    "fence": Fence,
    "code_block": Fence,
    "table_open": OpenTable,
}


class ThemeSyntax(SyntaxTheme):
    """Code as Textual highlights it, in the theme's colours."""

    def __init__(self, colours: Colours) -> None:
        self._colours = colours
        self._ground = Style(bgcolor=colours.colour("surface"))
        self._styles: dict[tuple[str, ...], Style] = {}

    def get_style_for_token(self, token_type: tuple[str, ...]) -> Style:
        """Of the token's kind, or of the nearest more general one that has a style."""
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
        return self._ground + style

    def get_background_style(self) -> Style:
        """The ground alone."""
        return self._ground


def _styles(colours: Colours) -> dict[str, Style]:
    """Rich's names for what Markdown is made of, in the theme's colours."""
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
