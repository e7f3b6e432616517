"""Snapshots of the blind vote."""

from __future__ import annotations

from dataclasses import replace

import pytest
from textual.pilot import Pilot

from app.screens import blind
from app.screens.blind import BlindScreen
from app.state.conversation.votes import Choice, Vote
from app.state.side.phase import Phase
from tests.app import still
from tests.app.driving import wait_until
from tests.app.still import StillPlayground
from tests.app.test_snapshots import DARK, LARGE, LIGHT, MIDDLE, SMALL, SnapCompare, compare

PROMPTS = ("What is a KV cache?", "How large is it, for a model with 8 KV heads of 128 values and 32 layers?")
PLAIN = "A cache of keys and values, so that each new token reads them instead of computing them again."


@pytest.fixture(autouse=True)
def _left_is_a(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blind, "draw_order", lambda: True)


async def shown(pilot: Pilot[None]) -> None:
    """Show the second of two pairs: the first has a vote, and a third prompt went to one side only."""
    app = pilot.app
    assert isinstance(app, StillPlayground)
    for side in app.sides:
        still.set_phase(side, Phase.READY)
        for prompt in PROMPTS:
            one = still.turn(side.name, prompt)
            side.conversation.add(replace(one, answer=PLAIN) if side.name == "right" else one)
    app.left.conversation.add(still.turn("left", "Only here"))
    first = (side.conversation.turns[0] for side in app.sides)
    app.votes.put(Vote(*first, Choice.RIGHT))
    await pilot.press("alt+a")
    await wait_until(pilot, lambda: isinstance(app.screen, BlindScreen) and app.screen.is_mounted)
    await still.settle(pilot)


async def revealed(pilot: Pilot[None]) -> None:
    """Show the names of the pair, and the score."""
    await shown(pilot)
    await pilot.press("r", "s")
    await still.settle(pilot)


async def empty(pilot: Pilot[None]) -> None:
    """Show the screen before anything was asked."""
    await pilot.press("alt+a")
    await wait_until(pilot, lambda: isinstance(pilot.app.screen, BlindScreen) and pilot.app.screen.is_mounted)
    await still.settle(pilot)


@pytest.mark.parametrize(
    ("size", "theme"), [(SMALL, DARK), (SMALL, LIGHT), (MIDDLE, DARK), (LARGE, DARK), (LARGE, LIGHT)]
)
def test_blind_vote(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """A prompt and two answers without names."""
    compare(snap_compare, size, shown, StillPlayground(theme, chosen=True))


@pytest.mark.parametrize(("size", "theme"), [(SMALL, DARK), (MIDDLE, LIGHT), (LARGE, DARK)])
def test_blind_vote_revealed(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """The names of both engines, and the score below."""
    compare(snap_compare, size, revealed, StillPlayground(theme, chosen=True))


@pytest.mark.parametrize(("size", "theme"), [(SMALL, LIGHT), (MIDDLE, DARK)])
def test_blind_vote_empty(snap_compare: SnapCompare, size: tuple[int, int], theme: str) -> None:
    """Nothing was asked yet: the box has the focus."""
    compare(snap_compare, size, empty, StillPlayground(theme, chosen=True))
