"""What the page sends through the websocket: JSON arrays that begin with the type."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from aiohttp import web

MAX_COLUMNS, MAX_ROWS = 2000, 1000
"""More than any screen shows; a terminal of a billion columns would take the app's memory."""


class Stdin(msgspec.Struct, tag="stdin", array_like=True):
    """Typed or pasted text."""

    data: str


class Size(msgspec.Struct):
    """Size of the terminal in cells."""

    width: Annotated[int, msgspec.Meta(ge=1, le=MAX_COLUMNS)] = 80
    height: Annotated[int, msgspec.Meta(ge=1, le=MAX_ROWS)] = 24


class Resize(msgspec.Struct, tag="resize", array_like=True):
    """The terminal has another size."""

    size: Size


class Ping(msgspec.Struct, tag="ping", array_like=True):
    """Asks for a pong with the same data."""

    data: Any = None


class Blur(msgspec.Struct, tag="blur", array_like=True):
    """The page has lost the focus."""


class Focus(msgspec.Struct, tag="focus", array_like=True):
    """The page has the focus."""


Message = Stdin | Resize | Ping | Blur | Focus
_DECODER = msgspec.json.Decoder[Message](Message)


def decode(text: str) -> Message | None:
    """Return the message; None if it is invalid."""
    try:
        message: Message = _DECODER.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return message


def first_size(request: web.Request) -> Size:
    """Return the size in the query of a request; 80 by 24 if there is none or it cannot be."""
    try:
        return msgspec.convert(dict(request.query), Size, strict=False)
    except msgspec.ValidationError:
        return Size()
