"""The text of a paragraph, heading or table cell, with the styles of its Markdown."""

from __future__ import annotations

from markdown_it.token import Token
from markdown_it.utils import EnvType
from rich.style import Style
from rich.text import Text

from app.terminal_text import displayable
from app.widgets.chat.transcript.blocks import PARSER
from app.widgets.chat.transcript.markdown import MarkdownStyle

PICTURE = "🌆"


def inline_text(content: str, styles: MarkdownStyle, env: EnvType, base: Style) -> Text:
    """Return the text of `content`, in which links are followed by their addresses.

    What is parsed is displayable already, but `&#x202E;` is a character only afterwards.

    Args:
        content: Markdown without blocks.
        styles: Those of the theme.
        env: The link definitions.
        base: The style of what has no other one.
    """
    tokens: list[Token] = []
    PARSER.inline.parse(content, PARSER, env, tokens)
    text, stack, links = Text(justify="left", end=""), [base], list[str]()
    for token in tokens:
        if token.nesting > 0:
            stack.append(stack[-1] + styles.style(token.tag if token.tag != "a" else "link"))
            if token.tag == "a":
                links.append(str(token.attrs.get("href", "")))
        elif token.nesting < 0:
            stack.pop()
            if token.tag == "a":
                text.append(" (", stack[-1])
                text.append(displayable(links.pop()), stack[-1] + styles.style("link_url"))
                text.append(")", stack[-1])
        else:
            style = stack[-1] + styles.style("code") if token.type == "code_inline" else stack[-1]
            text.append(displayable(_content(token)), style)
    return text


def _content(token: Token) -> str:
    if token.type == "image":
        source = str(token.attrs.get("src", "")).strip("/").rpartition("/")[2]
        return f"{PICTURE} {token.content or source}"
    return {"softbreak": " ", "hardbreak": "\n"}.get(token.type, token.content)
