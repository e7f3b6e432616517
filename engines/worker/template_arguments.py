"""The variables by which chat templates switch thinking on and off, or limit it.

Standard library only, Python 3.10 and newer, apart from jinja2 to read a template.
"""

from __future__ import annotations

import re

SWITCHES = ("enable_thinking", "thinking", "enable_reasoning", "reasoning", "think")
"""True or false."""
EFFORTS = ("reasoning_effort", "thinking_effort")
"""One of EFFORT_LEVELS."""
BUDGETS = ("thinking_budget", "reasoning_budget")
"""The longest thought, in tokens."""
EFFORT_LEVELS = ("low", "medium", "high")
_MARKED_ANSWER = re.compile(r"{%-?\s*(end)?generation\s*-?%}")
"""Around answers for a training; it is no statement of jinja2's own."""


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
