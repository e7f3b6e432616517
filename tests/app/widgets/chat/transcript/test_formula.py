r"""Formulas keep their backslashes and are no Markdown, closed or not."""

from __future__ import annotations

import pytest

from app.widgets.chat.transcript.line_renderer import LineRenderer
from tests.app.widgets.chat.transcript.test_incremental_markdown import drawn, plain, renderer

__all__ = ["renderer"]


@pytest.mark.parametrize(
    "formula",
    [
        r"\(x\_1 + \{a\}\)",
        r"\[E = mc^2 \\ *a* _b_\]",
        r"$\alpha_1 \cdot *b*$",
        r"$$\sum_{i=1}^n x\_i$$",
        r"\begin{bmatrix} a \\ b \end{bmatrix}",
        r"\(a \\) b\)",
        r"\[open \, _a_",
        r"\(open \{ **b**",
    ],
)
@pytest.mark.parametrize("around", ["{}", "So {}", "- {}", "> {}", "1. a\n2. {}", "## {}"])
def test_a_formula_is_drawn_as_written(formula: str, around: str, renderer: LineRenderer) -> None:
    text = " ".join(plain(drawn(around.format(formula), renderer)))
    assert formula in " ".join(text.replace("▌ ", "").split())


@pytest.mark.parametrize(
    "formula",
    [
        "\\[\na &= b \\\\\n+ c \\\\\n- d\n\\]",
        "$$\nx\n=\n1. y\n$$",
        "\\begin{align*}\na &= b \\\\\n\n# c\n\\end{align*}",
    ],
)
@pytest.mark.parametrize("before", ["", "Therefore:\n", "Therefore:\n\n"])
def test_the_lines_of_a_formula_are_kept(formula: str, before: str, renderer: LineRenderer) -> None:
    lines = plain(drawn(f"{before}{formula}\n\nAnd *so* on.", renderer))
    start = lines.index(formula.split("\n")[0])
    assert lines[start : start + formula.count("\n") + 1] == formula.split("\n")
    assert lines[-1] == "And so on."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("It costs $5 and **not** $10.", "It costs $5 and not $10."),
        ("US$ 5, *5* $", "US$ 5, 5 $"),
        (r"\*not\* emphasis\!", "*not* emphasis!"),
        ("`\\(x\\)` and $HOME or $PATH *b*", "\\(x\\) and $HOME or $PATH b"),
        (r"\$5 and *a* and \$6", "$5 and a and $6"),
        ("| $a_1$ | b |\n|---|---|\n| \\(c\\_2\\) | d |", r"\(c\_2\)"),
    ],
)
def test_what_is_no_formula_is_markdown(text: str, shown: str, renderer: LineRenderer) -> None:
    assert shown in " ".join(plain(drawn(text, renderer)))
