"""The real app held still: no engine, no clock, no sampling, so that two runs draw the same."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from app.playground import Playground
from app.screens.chat import ChatScreen
from app.state.conversation.conversation import Turn
from app.state.prepare.build_state import BuildState
from app.state.settings.settings import Settings
from app.state.side.side import Side
from app.state.side.snapshot import Phase, Snapshot
from app.widgets.chat.pane import Pane
from app.widgets.panels.throughput import ThroughputPanel
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.build.stored_engine import Manifest, StoredEngine, UnreadableEngine
from engines.measure.timing import Timing
from engines.plan.hardware.hardware import Device
from engines.worker import protocol
from tests.app.driving import wait_until
from tests.app.widgets.samples import EMPTY, FULL

GIB = 1 << 30
DEVICE = Device(
    "cpu", "cpu", "A processor", 16 * GIB, 12 * GIB, features=frozenset({"avx2", "avx512", "vnni"})
)
ANSWER = """\
A **KV cache** keeps the keys and values of all tokens so far:

* the prefill fills it,
* each decoded token adds to it.

```python
bytes = 2 * layers * kv_heads * head_dim * 2
```
"""
KILLED = protocol.Error(
    0, "worker-died", "The worker ended: killed by SIGKILL.", "Restart this side; the conversation is kept."
)
FIGURES = {
    "left": Timing(143, 0.0213, 0.0058, 171.8, 0.0057, 0.0071, 890.0, 0.85),
    "right": Timing(143, 0.0582, 0.0221, 45.2, 0.0219, 0.0263, 330.0, 3.2),
}


class StillSampler:
    """Measures nothing: always the same snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    async def run(self) -> None:
        """There is nothing to look at."""

    def snapshot(self) -> Snapshot:
        """The one that there is."""
        return self._snapshot


class StillPlayground(Playground):
    """No engine is ever started."""

    CSS_PATH = str(Path(__file__).parents[2] / "app" / "styles" / "panels.tcss")

    def __init__(
        self, theme: str, *, chosen: bool, welcomed: bool = True, snapshot: Snapshot = EMPTY
    ) -> None:
        super().__init__(Settings(theme=theme, chosen=chosen, welcomed=welcomed))
        self.device = DEVICE
        self.animation_level = "none"
        self._sampler = StillSampler(snapshot)  # type: ignore[assignment]

    def open_engines(self, names: tuple[str, ...]) -> None:
        """Not in this app."""


@dataclass
class StillBuild(BuildState):
    """A preparation whose clock stands."""

    seconds: float = 12.3

    @property
    def elapsed(self) -> float:
        """Always the same."""
        return self.seconds


@dataclass
class StillStore:
    """A store of engines that are on no disk."""

    root: Path = Path("/home/you/.cache/trt-playground")
    built: list[StoredEngine] = field(default_factory=list)

    def engines(self) -> list[StoredEngine]:
        """What it was made with."""
        return self.built

    def unreadable(self) -> list[UnreadableEngine]:
        """Nothing."""
        return []


def stored(precision: str, size: int, seconds: float) -> StoredEngine:
    """An engine of the store."""
    spec = EngineSpec("/models/SmolLM2-135M-Instruct", "openvino", precision, "cpu")
    manifest = Manifest(spec, {}, {"model.bin": size}, {}, seconds, 1_790_000_000.0)
    return StoredEngine(f"{precision}0c4d5e6f7", Path("/nowhere"), manifest)


def still_store(*engines: StoredEngine) -> EngineStore:
    """As the app takes it."""
    return StillStore(built=list(engines))  # type: ignore[return-value]


def turn(name: str, prompt: str = "What is a KV cache?") -> Turn:
    """An answered turn of the left or the right side."""
    return Turn(
        prompt,
        ANSWER,
        19,
        "the same on both sides",
        tuple(range(143)),
        cached=None,
        timing=FIGURES[name],
        reason="stop",
        engine="OpenVINO int8" if name == "left" else "PyTorch fp32",
        mode="in turn",
    )


Before = Callable[[Pilot[None]], Awaitable[None]]


async def settle(pilot: Pilot[None]) -> None:
    """Wait for the late parts of the screen, and stop the cursor."""
    for screen in pilot.app.screen_stack:
        for area in screen.query(TextArea):
            area.cursor_blink = False
        for entry in screen.query(Input):
            entry.cursor_blink = False
        for panel in screen.query(ThroughputPanel):
            await wait_until(pilot, lambda panel=panel: panel._plot is not None)  # type: ignore[misc]
    app = pilot.app
    assert isinstance(app, StillPlayground)
    app.snapshots.publish(app._sampler.snapshot())
    await app.workers.wait_for_complete(
        [worker for worker in app.workers if worker.group in ("list", "look", "plot")]
    )
    await pilot.pause(0.1)
    for pane in (pane for screen in pilot.app.screen_stack for pane in screen.query(Pane)):
        await wait_until(pilot, lambda pane=pane: pane.max_scroll_y - pane.scroll_y < 1)  # type: ignore[misc]
        pane.show_phase()
    await pilot.pause()


def stand(side: Side, phase: Phase, error: protocol.Error | None = None) -> None:
    """Put a side into a phase."""
    backend, precision = ("openvino", "int8") if side.name == "left" else ("pytorch", "fp32")
    side.spec, side.error = EngineSpec("/models/tiny", backend, precision, "cpu"), error
    side._enter(phase)


async def chat_empty(pilot: Pilot[None]) -> None:
    """Both engines are ready, nothing was asked."""
    app = pilot.app
    assert isinstance(app, StillPlayground)
    for side in app.sides:
        stand(side, Phase.READY)
    await settle(pilot)


async def chat_answered(pilot: Pilot[None]) -> None:
    """Two turns and the verdict."""
    app = pilot.app
    assert isinstance(app, StillPlayground)
    assert isinstance(app.screen, ChatScreen)
    for side in app.sides:
        stand(side, Phase.READY)
        pane = app.screen.query_one(f"#pane-{side.name}", Pane)
        for one in (turn(side.name, "Hello!"), turn(side.name)):
            side.conversation.add(one)
            pane.begin()
            pane.finish()
    app.screen.show_verdict()
    await settle(pilot)


async def chat_marked(pilot: Pilot[None]) -> None:
    """The last turn of the left side is marked: it has two versions, and a thought before the answer."""
    app = pilot.app
    assert isinstance(app, StillPlayground)
    await chat_answered(pilot)
    again = app.left.conversation.begin_again("OpenVINO int8")
    assert again
    vars(again).update(vars(turn("left")), answer=f"<think>\nWhat do they know?\n</think>\n\n{ANSWER}")
    pane = app.screen.query_one("#pane-left", Pane)
    pane.show_conversation()
    pane.transcript.focus()
    await pilot.press("p")
    await settle(pilot)


async def chat_failed(pilot: Pilot[None]) -> None:
    """The left worker was killed while it answered."""
    app = pilot.app
    assert isinstance(app, StillPlayground)
    assert isinstance(app.screen, ChatScreen)
    for side in app.sides:
        one = turn(side.name)
        if side.name == "left":
            one = replace(one, answer="A KV cache keeps", timing=None, reason="", error=KILLED)
        side.conversation.add(one)
        pane = app.screen.query_one(f"#pane-{side.name}", Pane)
        pane.begin()
        pane.finish()
    stand(app.left, Phase.FAILED, KILLED)
    stand(app.right, Phase.READY)
    app._sampler = StillSampler(replace(FULL, left=replace(FULL.left, phase=Phase.FAILED)))  # type: ignore[assignment]
    await settle(pilot)


async def building(pilot: Pilot[None]) -> None:
    """The left engine is being quantised, the right one is ready."""
    app = pilot.app
    assert isinstance(app, StillPlayground)
    await settle(pilot)
    left = StillBuild("OpenVINO int8", ["convert", "quantise"], (2, 4), 21, 30, "layers")
    left.lines.extend(
        ["nothing to reuse: the first build", "stage 1 of 4: convert", "stage 2 of 4: quantise"]
    )
    right = StillBuild("PyTorch fp32", ["load"], (1, 1), ended=0.0, seconds=3.1)
    right.lines.append("ready: loaded in 3.1 s")
    await _show_builds(pilot, left, right)


async def build_failed(pilot: Pilot[None]) -> None:
    """The left engine could not be built."""
    app = pilot.app
    assert isinstance(app, StillPlayground)
    await settle(pilot)
    error = protocol.Error(0, "disk-full", "The disk is full: 1.2 GB are missing.", "Delete engines with F8.")
    left = StillBuild("OpenVINO int8", ["convert"], (1, 4), ended=0.0, error=error)
    left.lines.extend(["stage 1 of 4: convert", f"failed: {error.message}"])
    await _show_builds(pilot, left, StillBuild("PyTorch fp32", ["load"], (1, 1), ended=0.0, seconds=3.1))


async def _show_builds(pilot: Pilot[None], left: StillBuild, right: StillBuild) -> None:
    app = pilot.app
    assert isinstance(app, StillPlayground)
    app.builds.update(left=left, right=right)
    for name in app.builds:
        app.build_changed.publish(name)
    await pilot.pause(0.1)
    await settle(pilot)


def by_key(key: str) -> Before:
    """Over the answered chat, press a key."""

    async def before(pilot: Pilot[None]) -> None:
        await chat_answered(pilot)
        await pilot.press(key)
        await pilot.pause(0.1)
        await settle(pilot)

    return before
