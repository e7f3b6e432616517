"""Rich Markdown in the colours of a Textual theme."""

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
from textual.color import Color, ColorParseError
from textual.highlight import HighlightTheme

# HTML is shown as text: a model's `<tag>` is part of its answer.
_PARSER = MarkdownIt("commonmark", {"html": False}).enable("strikethrough").enable("table")

COPY = "copy"
"""Label of the link that copies a code block."""


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
    """Rich theme and syntax theme for one Textual theme; created once and used for every block."""

    def __init__(self, colours: Colours) -> None:
        self.theme = Theme(_styles(colours))
        self.syntax = ThemeSyntax(colours)


class ThemedMarkdown(Markdown):
    """Markdown in the theme's colours; `first_code` is the index of its first code block in the answer."""

    elements: ClassVar = Markdown.elements

    def __init__(self, text: str, style: MarkdownStyle, first_code: int = 0) -> None:
        super().__init__("", code_theme=style.syntax, hyperlinks=False)  # type: ignore[arg-type]
        self.parsed = _PARSER.parse(text)
        self.syntax = style.syntax
        self._theme = style.theme
        self._text = text
        self._first_code = first_code
        self.codes: list[str] = []
        """Text of the code blocks, filled by rendering."""

    @property
    def last_block(self) -> int:
        """Return the character offset of the last top-level block; 0 if there is only one block."""
        starts = [token.map[0] for token in self.parsed if token.level == 0 and token.map]
        if len(starts) < 2:
            return 0
        lines = self._text.splitlines(keepends=True)
        return sum(len(line) for line in lines[: starts[-1]])

    def next_code(self, code: str) -> int:
        """Record a code block and return its index in the answer."""
        self.codes.append(code)
        return self._first_code + len(self.codes) - 1

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.codes.clear()
        with console.use_theme(self._theme):
            # A list, not a generator, which would run after the theme is popped.
            yield from list(super().__rich_console__(console, options))


class Item(ListItem):
    """A list item without left margin, because panes are narrow."""

    def render_bullet(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render the bullet and the indented text."""
        style = console.get_style("markdown.item.bullet", default="none")
        lines = console.render_lines(self.elements, options.update(width=max(1, options.max_width - 2)))
        for number, line in enumerate(lines):
            yield Segment("  " if number else "• ", style)
            yield from line
            yield Segment.line()

    def render_number(
        self, console: Console, options: ConsoleOptions, number: int, last_number: int
    ) -> RenderResult:
        """Render the number and the indented text."""
        style = console.get_style("markdown.item.number", default="none")
        width = len(f"{last_number}. ")
        lines = console.render_lines(self.elements, options.update(width=max(1, options.max_width - width)))
        for index, line in enumerate(lines):
            yield Segment(" " * width if index else f"{number}. ".rjust(width), style)
            yield from line
            yield Segment.line()


class LeftHeading(Heading):
    """A left-aligned heading without a box, at every level."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.text.justify = "left"
        yield self.text


class OpenTable(TableElement):
    """A table without empty lines above and below."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for table in super().__rich_console__(console, options):
            if isinstance(table, Table):
                table.box = SIMPLE_HEAD
            yield table


class Fence(CodeBlock):
    """A code block on the theme's surface colour, with a link that copies it."""

    def __init__(self, language: str, markdown: ThemedMarkdown) -> None:
        super().__init__(language, markdown.code_theme)
        self._markdown = markdown

    @classmethod
    def create(cls, markdown: Markdown, token: Token) -> Fence:
        """Create a block in the language named after the opening fence."""
        assert isinstance(markdown, ThemedMarkdown)
        return cls((token.info.split() or ["text"])[0], markdown)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        code = str(self.text).rstrip()
        syntax = self._markdown.syntax
        background = syntax.get_background_style()
        click = {"@click": ("copy_code", (self._markdown.next_code(code),))}
        yield Segment(" " * max(0, options.max_width - len(COPY) - 1), background)
        yield Segment(COPY, background + Style(meta=click, dim=True, underline=True))
        yield Segment(" ", background)
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
