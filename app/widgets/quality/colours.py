"""Colours of the theme for what Rich draws: cells of a table and canvases, which know no variables."""

from __future__ import annotations

import re
from typing import Any

from textual.app import App

MUTED = "foreground-muted"


def rich_colour(app: App[Any], name: str, otherwise: str = "default") -> str:
    """Return a theme's colour as Rich takes it.

    Args:
        name: of the theme's variable.
        otherwise: for one that is not six digits, such as a colour with transparency.
    """
    colour = app.theme_variables.get(name, "")
    return colour if re.fullmatch("#[0-9a-fA-F]{6}", colour) else otherwise
