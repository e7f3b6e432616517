"""The fields of Sampling as a table, with their titles, their text form and messages for invalid input."""

from __future__ import annotations

from dataclasses import dataclass

from engines.worker.values import SAMPLING_LIMITS, Sampling

LARGE, SMALL = 1e9, 1e-3
"""Limits beyond these are not shown."""
_ESCAPES = {"\\\\": "\\", "\\n": "\n", "\\t": "\t"}


@dataclass(frozen=True)
class Field:
    """A numeric field of Sampling."""

    name: str
    """As in Sampling."""
    title: str
    meaning: str
    """One line, shown while the field has the focus."""

    @property
    def whole(self) -> bool:
        """Whether it is an integer."""
        return isinstance(getattr(Sampling(), self.name), int)

    def text(self, sampling: Sampling) -> str:
        """Return the value as text."""
        value = getattr(sampling, self.name)
        return f"{value:g}" if not self.whole and float(f"{value:g}") == value else str(value)

    def value(self, text: str) -> float | None:
        """Return the number in a text; None where it is not a number within the limits."""
        try:
            value = int(text) if self.whole else float(text)
        except ValueError:
            return None
        low, high = SAMPLING_LIMITS[self.name]
        return value if low <= value <= high else None

    def problem(self, text: str) -> str:
        """Return what to write instead of the text; empty where it is valid."""
        if self.value(text) is not None:
            return ""
        low, high = SAMPLING_LIMITS[self.name]
        kind = "a whole number" if self.whole else "a number"
        return f"{self.title}: write {kind} {_span(low, high)}."


def _span(low: float, high: float) -> str:
    if high > LARGE:
        return f"of at least {low:g}"
    return f"above 0, up to {high:g}" if 0 < low < SMALL else f"from {low:g} to {high:g}"


FIELDS = (
    Field("temperature", "Temperature", "0 is greedy: always the likeliest token. Higher is more varied."),
    Field("top_p", "Top-p", "The likeliest tokens that make up this share of probability; 1: all."),
    Field("top_k", "Top-k", "Keep this many of the likeliest tokens; 0 keeps all."),
    Field("min_p", "Min-p", "Drop what is less likely than this share of the likeliest; 0: nothing."),
    Field("repetition_penalty", "Repetition penalty", "Above 1, tokens that were there become less likely."),
    Field("seed", "Seed", "The same seed gives the same answer; Regenerate uses the next seed."),
    Field("max_tokens", "Max tokens", "The answer ends there; it also ends where the context does."),
)


def stop_lines(stop: tuple[str, ...]) -> str:
    r"""Return stop strings as edited text: one a line, a line break within one written as \n."""
    return "\n".join(text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t") for text in stop)


def stop_texts(lines: str) -> tuple[str, ...]:
    """Return the stop strings in edited text; empty lines are skipped."""
    return tuple(_unescaped(line) for line in lines.split("\n") if line)


def _unescaped(line: str) -> str:
    text, rest = "", line
    while rest:
        taken = rest[:2] if rest[:2] in _ESCAPES else rest[0]
        text += _ESCAPES.get(taken, taken)
        rest = rest[len(taken) :]
    return text
