"""The variables by which chat templates switch thinking on and off, or limit it.

Standard library only, Python 3.10 and newer, apart from jinja2 to read a template.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

SWITCHES = ("enable_thinking", "thinking", "enable_reasoning", "reasoning", "think")
"""True or false."""
EFFORTS = ("reasoning_effort", "thinking_effort")
"""One of EFFORT_LEVELS."""
BUDGETS = ("thinking_budget", "reasoning_budget")
"""The longest thought, in tokens."""
EFFORT_LEVELS = ("low", "medium", "high")
ON, OFF = "on", "off"
_MARKED_ANSWER = re.compile(r"{%-?\s*(end)?generation\s*-?%}")
"""Around answers for a training; it is no statement of jinja2's own."""


@dataclass(frozen=True)
class Thinking:
    """Whether and how much a model is to think. The defaults leave all of it to the chat template."""

    switch: str = ""
    """ON, OFF, or empty."""
    effort: str = ""
    """One of EFFORT_LEVELS, or empty."""
    budget: int = -1
    """Tokens; -1 leaves it to the template."""

    def arguments(self, variables: Collection[str]) -> dict[str, object]:
        """Return what is to be passed to a template that reads these variables."""
        found: dict[str, object] = {}
        if self.switch in (ON, OFF):
            found |= dict.fromkeys(SWITCHES, self.switch == ON)
        if self.effort in EFFORT_LEVELS:
            found |= dict.fromkeys(EFFORTS, self.effort)
        if self.budget >= 0:
            found |= dict.fromkeys(BUDGETS, self.budget)
        return {name: value for name, value in found.items() if name in variables}

    def within(self, variables: Collection[str]) -> Thinking:
        """Return what of it has an effect on a template that reads these variables."""
        return Thinking(
            self.switch if any(name in variables for name in SWITCHES) else "",
            self.effort if any(name in variables for name in EFFORTS) else "",
            self.budget if any(name in variables for name in BUDGETS) else -1,
        )

    @property
    def words(self) -> str:
        """Return `thinking off` or `effort high, budget 512`; empty for the defaults."""
        parts = [
            f"thinking {self.switch}" if self.switch else "",
            f"effort {self.effort}" if self.effort else "",
            f"budget {self.budget}" if self.budget >= 0 else "",
        ]
        return ", ".join(part for part in parts if part)


def variables_read(template: str) -> tuple[str, ...]:
    """Return which of the variables a chat template reads."""
    if not any(name in template for name in (*SWITCHES, *EFFORTS, *BUDGETS)):
        return ()
    from jinja2 import Environment, TemplateError, meta

    try:
        parsed = Environment(extensions=["jinja2.ext.loopcontrols"]).parse(_MARKED_ANSWER.sub("", template))
        read = meta.find_undeclared_variables(parsed)
    except (TemplateError, RecursionError):  # it is reported when a prompt is rendered
        return ()
    return tuple(name for name in (*SWITCHES, *EFFORTS, *BUDGETS) if name in read)
