"""The lines that compare the speed and the text of both sides' answers."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import Static

from app.state.conversation.agreement import agreement
from app.state.conversation.conversation import Turn
from app.state.conversation.speed_ratio import SHORT_TOKENS, SpeedRatio, speed_ratio
from app.state.settings.settings import TimingMode
from app.state.side.side import Side
from app.terminal_text import displayable
from app.units import rate_text, ratio_text, seconds_text

SAME = 0.005
"""Ratios this close to 1 are called equal."""


class SpeedComparison(Static):
    """Two lines about both sides: the speed of their answers, and whether the last ones are the same."""

    HELP = f"""\
# Speed

The median of the decode rate of one engine divided by the other's, without prefill, over all answers of
this conversation by the same two engines, with its range. It is grey, with the reason, where it should not be
quoted: other programs were busy, the answers have fewer than {SHORT_TOKENS} tokens, or the model is so small
that overhead decides. If only some answers are short or disturbed, they do not count. In mode *together* both
engines share the machine, and only *in turn* measures each engine alone; on two GPUs both modes do.

# Agreement

The number of tokens that both answers share, and how each continues. **F5** compares the engines at every
token; one small difference in a tie changes everything after it.
"""

    ratio: SpeedRatio | None = None
    """What the first line says; None where there is none."""
    brief = False
    """Whether the rates and TTFTs are left out: the stage shows them in large digits."""

    def compare(self, left: Side, right: Side) -> None:
        """Compare the answers of both sides; hide the lines if they cannot be compared."""
        lefts, rights = left.conversation.turns, right.conversation.turns
        known = [side.checkpoint.parameters for side in (left, right) if side.checkpoint]
        self.show(lefts, rights, speed_ratio(lefts, rights, min(known, default=None)))

    def show(self, lefts: Sequence[Turn], rights: Sequence[Turn], ratio: SpeedRatio | None) -> None:
        """Show how fast the sides are, and whether their last turns agree; hide the lines without either."""
        self.ratio = ratio
        found = [speed_text(ratio, brief=self.brief)] if ratio else []
        if lefts and rights:
            found.append(agreement_text(lefts[-1], rights[-1]))
        self.update(Content("\n").join(line for line in found if line.plain))
        self.display = any(line.plain for line in found)

    def on_mount(self) -> None:
        """Start hidden; there is no comparison yet."""
        self.display = False


def speed_text(ratio: SpeedRatio, *, brief: bool = False) -> Content:
    """Return the sentence; if it should not be quoted, muted, with the reason instead of the rates.

    Args:
        brief: without the rates and TTFTs.
    """
    engine, reference = ratio.last
    headline = f"{engine.engine} is {_how_fast(ratio)} {reference.engine}"
    if ratio.doubt:
        found = f"{headline}{_range(ratio)} · {engine.mode} · not to be quoted: {ratio.doubt}"
        return Content.styled(found, "$foreground-muted")
    rates = "" if brief else f" · {_rates(engine, reference)}"
    return Content.assemble((headline, "bold"), f"{_range(ratio)}{rates} · {engine.mode}{_sharing(engine)}")


def _sharing(engine: Turn) -> str:
    """Return what the engines shared that answered at the same time."""
    if engine.mode != TimingMode.TOGETHER:
        return ""
    return ": each engine had its own GPU" if engine.own_gpu else ": both engines shared the machine"


def agreement_text(left: Turn, right: Turn) -> Content:
    """Return whether the answers are the same; empty if they cannot be compared."""
    words = displayable(agreement(left, right))
    return Content.assemble((words, "$foreground-muted"))


def _how_fast(ratio: SpeedRatio) -> str:
    """Return `about 7.5× as fast as`, `about 13 % slower than` or `as fast as`."""
    if abs(ratio.median - 1) < SAME:
        return "as fast as"
    if ratio.median < 1:
        return f"about {100 * (1 - ratio.median):.2g} % slower than"
    return f"about {ratio_text(ratio.median)}× as fast as"


def _range(ratio: SpeedRatio) -> str:
    if len(ratio.ratios) == 1:
        return ""
    low, high = (ratio_text(end) for end in (min(ratio.ratios), max(ratio.ratios)))
    return f" ({'' if low == high else f'{low}–{high}×, '}{len(ratio.ratios)} answers)"


def _rates(engine: Turn, reference: Turn) -> str:
    """Return the decode rates of the last answers, and their TTFTs."""
    assert engine.timing
    assert reference.timing
    rates = f"{rate_text(engine.timing.decode_rate, '').strip()} vs {rate_text(reference.timing.decode_rate)}"
    return f"{rates}, {_first_token(engine, reference)}"


def _first_token(engine: Turn, reference: Turn) -> str:
    """Return both TTFTs, or both prompt lengths: with different prompts the TTFTs are not comparable."""
    assert engine.timing
    assert reference.timing
    if engine.prompt_digest == reference.prompt_digest:
        return f"first token {seconds_text(engine.timing.ttft)} vs {seconds_text(reference.timing.ttft)}"
    lengths = f"{engine.prompt_tokens} and {reference.prompt_tokens} tokens"
    return f"prompts of {lengths}: earlier answers differ"
