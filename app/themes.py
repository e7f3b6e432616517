"""The app's themes, and the theme variables that its widgets need under every theme.

The colours are those of the Okabe-Ito palette or shades of it, which are distinguishable with colour-vision
deficiency. On light backgrounds they are darkened for contrast.
"""

from __future__ import annotations

from textual.theme import BUILTIN_THEMES, Theme

_ON_DARK = {
    "left": "#56B4E9",
    "right": "#E69F00",
    "kv-used": "#2FBF94",
    "kv-reused": "#F0E442",
    "memory-weights": "#D58CB6",
    "memory-kv": "#2FBF94",
    "memory-other": "#A39E94",
    "memory-other-processes": "#9AA1AC",
    "part-border": "#99A1AB",
    "focus-border": "#6CA8DC",
}
_ON_LIGHT = {
    "left": "#005A8E",
    "right": "#9C3D00",
    "kv-used": "#00664B",
    "kv-reused": "#6B5600",
    "memory-weights": "#96407A",
    "memory-kv": "#00664B",
    "memory-other": "#625D55",
    "memory-other-processes": "#565D68",
    "part-border": "#656C76",
    "focus-border": "#005A8E",
}


def variable_defaults(dark: bool = True) -> dict[str, str]:
    """Return defaults of the app's variables for themes that do not set them, such as Textual's own.

    Apps return this from `get_theme_variable_defaults`, with `dark` of the current theme.
    """
    return dict(_ON_DARK if dark else _ON_LIGHT)


def _scroll_bars(below: str, bar: str, active: str) -> dict[str, str]:
    """Return the variables of scroll bars: Textual's own bars have too little contrast."""
    states = {"": bar, "-hover": active, "-active": active}
    return {
        f"scrollbar{part}{state}": below if part else colour
        for state, colour in states.items()
        for part in ("", "-background")
    }


THEMES = (
    Theme(
        name="playground-dark",
        primary="#6CA8DC",
        secondary="#8DA2B8",
        accent="#E69F00",
        warning="#F0C05A",
        error="#F0766A",
        success="#2FBF94",
        foreground="#DDE3EA",
        background="#14181D",
        surface="#1B2027",
        panel="#262D36",
        variables={**_ON_DARK, "part-border": "#7E868F", **_scroll_bars("#14181D", "#7E868F", "#A9B2BD")},
    ),
    Theme(
        name="playground-black",
        primary="#7FC4F5",
        secondary="#B0B7C0",
        accent="#FFB52E",
        warning="#FFD166",
        error="#FF8578",
        success="#3FD6A8",
        foreground="#FFFFFF",
        background="#000000",
        surface="#0A0A0A",
        panel="#1E1E1E",
        variables={
            **_ON_DARK,
            "left": "#7FC4F5",
            "right": "#FFB52E",
            "memory-other-processes": "#B4BAC4",
            "part-border": "#8C929A",
            "focus-border": "#7FC4F5",
            **_scroll_bars("#000000", "#8C929A", "#C2C8D0"),
        },
    ),
    Theme(
        name="playground-light",
        primary="#005A8E",
        secondary="#4A5A6A",
        accent="#9C3D00",
        warning="#7A5A00",
        error="#A8201A",
        success="#00664B",
        foreground="#1B2128",
        background="#FFFFFF",
        surface="#F4F6F8",
        panel="#E3E8ED",
        dark=False,
        variables={
            **_ON_LIGHT,
            "foreground-muted": "#565D68",
            "part-border": "#6B737C",
            **_scroll_bars("#FFFFFF", "#6B737C", "#3E454D"),
        },
    ),
    Theme(
        name="playground-paper",
        primary="#2A5580",
        secondary="#5F5746",
        accent="#8F3A00",
        warning="#755200",
        error="#9B1C1C",
        success="#1F5E45",
        foreground="#2B2620",
        background="#F7F1E3",
        surface="#F1EAD8",
        panel="#E5DBC3",
        dark=False,
        variables={
            **_ON_LIGHT,
            "left": "#00507F",
            "right": "#8F3A00",
            "foreground-muted": "#5F5746",
            "part-border": "#716A5A",
            "focus-border": "#2A5580",
            **_scroll_bars("#F7F1E3", "#716A5A", "#3F392F"),
        },
    ),
)
"""Two dark and two light themes; the first is the default."""
BUILTIN_THEMES.update({theme.name: theme for theme in THEMES})  # for every app, from its first frame on


def known_or_default(name: str) -> str:
    """Return `name` if such a theme exists, else the name of the default theme."""
    return name if name in BUILTIN_THEMES else THEMES[0].name
