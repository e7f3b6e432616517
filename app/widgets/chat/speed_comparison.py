"""The line that compares the decode speed of both sides."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from app.state.conversation.conversation import Turn
from app.state.settings.settings import TimingMode
from app.units import rate_text, seconds_text

REFERENCE = "PyTorch"


class SpeedComparison(Static):
    """One sentence about the last turn of both sides; hidden until both have a decode rate."""

    HELP = """\
# Speed-up

Decode speed of one engine divided by the other's, without prefill. In mode *together* both engines share
the machine; only *in turn* measures each engine alone.
"""

    def compare(self, left: Turn | None, right: Turn | None) -> None:
        """Compare two turns; hide the line if they cannot be compared."""
        sentence = comparison_text(left, right) if left and right else Content("")
        self.update(sentence)
        self.display = bool(sentence.plain)

    def on_mount(self) -> None:
        """Start hidden; there is no comparison yet."""
        self.display = False


def comparison_text(left: Turn, right: Turn) -> Content:
    """Return the sentence; empty if a rate is missing or the sides had different prompts or timing modes.

    The denominator of the ratio is PyTorch if exactly one side is PyTorch, else the right side.
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
        ": both engines shared the machine" if left.mode == TimingMode.TOGETHER else "",
    )


def _is_reference(turn: Turn) -> bool:
    return turn.engine.rpartition(" ")[0] == REFERENCE


def _first_token(engine: Turn, reference: Turn) -> str:
    """Return both TTFTs, or both prompt lengths: with different prompts the TTFTs are not comparable."""
    assert engine.timing
    assert reference.timing
    if engine.prompt_digest == reference.prompt_digest:
        return f"first token {seconds_text(engine.timing.ttft)} vs {seconds_text(reference.timing.ttft)}"
    lengths = f"{engine.prompt_tokens} and {reference.prompt_tokens} tokens"
    return f"prompts of {lengths}: earlier answers differ"
