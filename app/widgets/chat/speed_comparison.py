"""The line that says how much faster one side was, once both have answered."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from app.state.conversation.conversation import Turn
from app.state.settings.settings import TimingMode
from app.units import rate_text, seconds_text

REFERENCE = "PyTorch"


class SpeedComparison(Static):
    """One sentence about the last turn of both sides; empty until both have figures."""

    HELP = """\
# Speed-up

Decode speed of one engine divided by the other's, prefill left out. In mode *together* both engines
share the machine, so only *in turn* gives either one's own speed.
"""

    def compare(self, left: Turn | None, right: Turn | None) -> None:
        """Show the verdict on two turns with the same prompt."""
        self.say(comparison_text(left, right) if left and right else Content(""))

    def say(self, sentence: Content) -> None:
        """Show a sentence; an empty one takes no room."""
        self.update(sentence)
        self.display = bool(sentence.plain)

    def on_mount(self) -> None:
        """Nothing has been said yet."""
        self.display = False


def comparison_text(left: Turn, right: Turn) -> Content:
    """The sentence; empty where a figure is missing, or where the sides were not asked the same.

    The quotient is taken against PyTorch where one of the sides is PyTorch, else against the right side.
    """
    engine, reference = (right, left) if _is_reference(left) and not _is_reference(right) else (left, right)
    if not (engine.timing and reference.timing) or engine.error or reference.error:
        return Content("")
    fast, slow = engine.timing.decode_rate, reference.timing.decode_rate
    if not (fast and slow) or (left.prompt, left.mode) != (right.prompt, right.mode):
        return Content("")
    rates = f"{rate_text(fast, '').strip()} vs {rate_text(slow)}"
    return Content.assemble(
        (f"{engine.engine} {fast / slow:.2f}× {reference.engine}", "bold"),
        f": {rates}, {_first_token(engine, reference)} · {left.mode}",
        ", so both shared the machine" if left.mode == TimingMode.TOGETHER else "",
    )


def _is_reference(turn: Turn) -> bool:
    return turn.engine.rpartition(" ")[0] == REFERENCE


def _first_token(engine: Turn, reference: Turn) -> str:
    """TTFT of both; once earlier answers differ, so do the prompts, and their TTFTs tell little."""
    assert engine.timing
    assert reference.timing
    if engine.prompt_digest == reference.prompt_digest:
        return f"first token {seconds_text(engine.timing.ttft)} vs {seconds_text(reference.timing.ttft)}"
    lengths = f"{engine.prompt_tokens} and {reference.prompt_tokens} tokens"
    return f"prompts of {lengths}, as earlier answers differ"
