"""Snapshots for the tests of the panels, and an app that shows one panel."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from textual.app import App, ComposeResult
from textual.color import Color

import app
from app.state.side.answer_cost import AnswerCost
from app.state.side.cost_counter import ONLY_IN_TURN
from app.state.side.phase import Phase, Span
from app.state.side.snapshot import SideSnapshot, Snapshot
from app.themes import THEMES, variable_defaults
from app.widgets.panels.panel import Panel
from engines.measure.gpu import GpuSample
from engines.plan.estimate.estimate import Estimate
from engines.worker.protocol import KVUsage, MemoryUsage

PANEL_STYLES = Path(app.__file__).parent / "styles" / "panels.tcss"
NOW = 100.0
MIB, GIB = 1 << 20, 1 << 30


def rates(base: float, since: float = NOW - 50, until: float = NOW) -> tuple[tuple[float, float], ...]:
    """Return four samples per second around `base` tok/s, as a side measures them."""
    moments = [since + i / 4 for i in range(int((until - since) * 4) + 1)]
    return tuple((moment, base + base / 20 * math.sin(moment)) for moment in moments)


def curve(base: float, tokens: int) -> tuple[tuple[int, float], ...]:
    """Return the rate of each token of an answer, around `base` tok/s."""
    return tuple((token, base + base / 20 * math.sin(token / 4)) for token in range(2, tokens + 1))


PAGED = KVUsage(
    tokens=592,
    capacity_tokens=2048,
    bytes_used=21 * MIB,
    bytes_total=64 * MIB,
    block_tokens=16,
    used_blocks=37,
    free_blocks=91,
    total_blocks=128,
    reused_blocks=12,
)
CONTIGUOUS = KVUsage(tokens=592, bytes_used=22 * MIB)
LEFT = SideSnapshot(
    title="OpenVINO int8",
    precision="int8",
    phase=Phase.DECODE,
    rates=rates(170),
    curve=curve(170, 143),
    process_bytes=960 * MIB,
    memory=MemoryUsage(weights=320 * MIB, kv=64 * MIB),
    kv=PAGED,
)
RIGHT = SideSnapshot(
    title="PyTorch fp32",
    precision="fp32",
    phase=Phase.DECODE,
    rates=rates(45),
    curve=curve(45, 96),
    process_bytes=1440 * MIB,
    memory=MemoryUsage(weights=640 * MIB, kv=22 * MIB),
    kv=CONTIGUOUS,
)
FULL = Snapshot(NOW, LEFT, RIGHT, memory_total=16 * GIB, memory_used=6 * GIB, cpu_percent=87.0)
EMPTY = Snapshot(3.0, SideSnapshot(""), SideSnapshot(""))
H200 = GpuSample(
    index=0,
    name="NVIDIA H200",
    uuid="GPU-0",
    memory_used=62 * GIB,
    memory_total=140 * GIB,
    utilisation=93.0,
    power=512.3,
    power_limit=700.0,
    temperature=61.0,
    sm_clock=1755,
    sm_clock_most=1980,
    memory_clock=3201,
    memory_clock_most=3201,
    slowed_by=(),
    device="cuda:0",
)
GPU = replace(
    FULL,
    left=replace(
        LEFT, gpu_bytes=48 * GIB, memory=MemoryUsage(8 * GIB, 36 * GIB, GIB, 50 * GIB), device="cuda:0"
    ),
    gpus=(H200,),
)
_GAPS = tuple(0.005 + 0.0002 * math.sin(i * i) for i in range(200))
"""Gaps as even as on a GPU."""
_ESTIMATE = Estimate(
    "cuda:0", 12 * GIB, 2 * GIB, GIB, 0, 0, 120 * GIB, None, 13_500_000_000, None, kv_precision="bf16"
)
GPUS = replace(
    GPU,
    left=replace(
        GPU.left,
        title="PyTorch compiled bf16",
        precision="bf16",
        gpu_bytes=16 * GIB,
        memory=MemoryUsage(12 * GIB, 2 * GIB, 700 * MIB, 15 * GIB),
        kv=KVUsage(592, 4096, 300 * MIB, 2 * GIB),
        spans=(
            Span(Phase.LOADING, 5.0, 23.4),
            Span(Phase.PREFILL, 30.0, 0.02),
            Span(Phase.DECODE, 30.02, 0.85),
        ),
        gaps=_GAPS,
        estimate=_ESTIMATE,
        cost=AnswerCost(217.0, 13_500_000_000, 2.41),
        bandwidth=4.28e12,
    ),
    right=replace(
        RIGHT,
        title="PyTorch bf16",
        precision="bf16",
        device="cuda:0",
        gpu_bytes=13 * GIB,
        memory=MemoryUsage(12 * GIB, 90 * MIB, 410 * MIB, 13 * GIB),
        kv=KVUsage(592, 4096, 90 * MIB),
        spans=(
            Span(Phase.QUEUED, 30.0, 0.87),
            Span(Phase.PREFILL, 30.87, 0.05),
            Span(Phase.DECODE, 30.92, 1.4),
            Span(Phase.STALLED, 32.32, 2.4),
            Span(Phase.DECODE, 34.72, 1.0),
        ),
        gaps=tuple(3 * gap for gap in _GAPS),
        estimate=_ESTIMATE,
        cost=AnswerCost(71.0, 13_500_000_000, None, ONLY_IN_TURN),
        bandwidth=4.28e12,
    ),
    gpus=(
        replace(H200, memory_used=31 * GIB, slowed_by=("power limit",)),
        replace(H200, index=1, device="cuda:1", memory_used=GIB, utilisation=0.0, power=78.0),
    ),
)
"""Two engines on one GPU, and a second GPU."""
NOTHING_KNOWN = Snapshot(
    NOW,
    SideSnapshot("left", Phase.READY, memory=MemoryUsage(), kv=KVUsage()),
    SideSnapshot("right", Phase.FAILED),
    gpus=(GpuSample(index=0, name="", uuid=""),),
)
HUGE = Snapshot(
    NOW,
    SideSnapshot(
        "[/b] a title\nof two lines 漢字 " * 9,
        Phase.DECODE,
        rates(9e12),
        2**62,
        2**61,
        MemoryUsage(2**60, 2**60, 2**60, 2**62),
        KVUsage(10**12, 10**13, 2**60, 2**61, 64, 10**9, 10**10, 2 * 10**9, 10**11),
    ),
    SideSnapshot(
        "r", Phase.DECODE, ((math.nan, 1.0), (NOW, math.inf), (NOW, math.nan)), kv=KVUsage(-1, -1, -1)
    ),
    2**62,
    2**63,
    1e9,
    tuple(replace(H200, index=index, utilisation=1e9) for index in range(16)),
)
ALL = {
    "empty": EMPTY,
    "full": FULL,
    "gpu": GPU,
    "nothing known": NOTHING_KNOWN,
    "huge": HUGE,
    "two GPUs": GPUS,
}


class OnePanel(App[None]):
    """A single panel, as large as the terminal."""

    CSS_PATH = PANEL_STYLES
    CSS = "Panel { height: 1fr; }"

    def __init__(self, panel: Panel, theme: str = "playground-dark") -> None:
        """Create the app that shows `panel`."""
        super().__init__()
        self.panel = panel
        for own in THEMES:
            self.register_theme(own)
        self.theme = theme

    def compose(self) -> ComposeResult:
        """Yield the panel."""
        yield self.panel

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Return the app's variables, for themes without them."""
        return variable_defaults(self.current_theme.dark)


def coloured(shown: App[Any]) -> set[str]:
    """Return the colours of a screenshot that are no greys, without those of its frame."""
    frame = {"#ff5f57", "#febc2e", "#28c840", "#c5c8c6"}
    found = set(re.findall(r"#[0-9a-f]{6}", shown.export_screenshot())) - frame
    # Textual rounds each component of a grey by itself.
    return {one for one in found if max(Color.parse(one).rgb) - min(Color.parse(one).rgb) > 2}


def screen_text(shown: App[None]) -> str:
    """Return the text on screen. Textual has no public way that keeps the columns."""
    return "\n".join(strip.text.rstrip() for strip in shown.screen._compositor.render_strips())
