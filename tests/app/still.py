"""The real app without engines, clock and telemetry, so that every run draws the same screen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.strip import Strip
from textual.widgets import Input, TextArea

from app.playground import Playground
from app.screens.chat import ChatScreen
from app.screens.compare import CompareScreen
from app.state.conversation.conversation import Turn
from app.state.models.fit import Fit
from app.state.models.model_entry import ModelEntry, Section
from app.state.prepare.build_state import BuildState
from app.state.settings.settings import Settings
from app.state.side.phase import Phase
from app.state.side.side import Side
from app.state.side.snapshot import Snapshot
from app.widgets.chat.pane import Pane
from app.widgets.chat.prompt import PromptInput
from app.widgets.compare.own_answers import TextColumn
from app.widgets.panels.throughput import ThroughputPanel
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.build.stored_engine import Manifest, StoredEngine, UnreadableEngine
from engines.compare.asked_prompt import AskedPrompt
from engines.measure.timing import Timing
from engines.plan.hardware.hardware import Device
from engines.worker import protocol
from tests.app.driving import is_composed, until_finished, wait_until
from tests.app.rendered import drawn_lines
from tests.app.widgets.samples import EMPTY, FULL
from tests.engines.compare.sample_answer import sample_answer, unsure_answer

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
    "left": Timing(
        tokens=143,
        ttft=0.0213,
        tpot=0.0058,
        decode_rate=171.8,
        itl_p50=0.0057,
        itl_p95=0.0071,
        prefill_rate=890.0,
        total=0.85,
    ),
    "right": Timing(
        tokens=143,
        ttft=0.0582,
        tpot=0.0221,
        decode_rate=45.2,
        itl_p50=0.0219,
        itl_p95=0.0263,
        prefill_rate=330.0,
        total=3.2,
    ),
}


MODELS = (
    ModelEntry("demo", "demo", Section.DISK, 7_300_000, 14_700_000, 1, "apache-2.0", fit=Fit("fits", "bf16")),
    ModelEntry(
        "/models/SmolLM2-135M-Instruct",
        "SmolLM2-135M-Instruct",
        Section.DISK,
        134_515_008,
        269_060_552,
        2,
        "apache-2.0",
        fit=Fit("fits", "bf16"),
    ),
    ModelEntry(
        "Qwen/Qwen3-0.6B",
        "Qwen3-0.6B",
        Section.SUGGESTED,
        596_000_000,
        1_503_300_000,
        licence="apache-2.0",
        fit=Fit("fits", "bf16"),
    ),
    ModelEntry(
        "Qwen/Qwen3-8B",
        "Qwen3-8B",
        Section.SUGGESTED,
        8_190_000_000,
        16_380_000_000,
        licence="apache-2.0",
        fit=Fit("smaller only", "int4"),
    ),
)
"""What the list of models shows."""
ONE_FAILED = replace(FULL, left=replace(FULL.left, phase=Phase.FAILED))
"""What is measured after the left worker has ended."""


class StillSampler:
    """A telemetry sampler that measures nothing and always returns the same snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    async def run(self) -> None:
        """Return immediately."""

    def busy_percent(self, _device: str, _since: float) -> float:
        """Return 0: no other program runs."""
        return 0.0

    def snapshot(self) -> Snapshot:
        """Return the fixed snapshot."""
        return self._snapshot


class StillPlayground(Playground):
    """An app that never starts an engine."""

    CSS_PATH = str(Path(__file__).parents[2] / "app" / "styles" / "panels.tcss")

    def __init__(
        self, theme: str, *, chosen: bool, welcomed: bool = True, snapshot: Snapshot = EMPTY
    ) -> None:
        super().__init__(Settings(theme=theme, chosen=chosen, welcomed=welcomed))
        self.device = DEVICE
        self.animation_level = "none"
        self.sampler = StillSampler(snapshot)  # type: ignore[assignment]
        self.notified: list[str] = []
        """Messages of all toasts, also of those that are gone."""

    def notify(self, message: str, **options: Any) -> None:
        """Show a toast and keep its message."""
        self.notified.append(message)
        super().notify(message, **options)

    def open_engines(self, names: tuple[str, ...]) -> None:
        """Do nothing."""


@dataclass
class StillBuild(BuildState):
    """A build with a fixed elapsed time."""

    seconds: float = 12.3

    @property
    def elapsed(self) -> float:
        """The fixed time in seconds."""
        return self.seconds


@dataclass
class StillStore:
    """An engine store in memory."""

    root: Path = Path("/home/you/.cache/trt-playground")
    built: list[StoredEngine] = field(default_factory=list)

    def engines(self) -> list[StoredEngine]:
        """Return the engines given at construction."""
        return self.built

    def unreadable(self) -> list[UnreadableEngine]:
        """Return an empty list."""
        return []


def stored(precision: str, size: int, seconds: float) -> StoredEngine:
    """Return an entry of the store; `size` in bytes, `seconds` is the build time."""
    spec = EngineSpec("/models/SmolLM2-135M-Instruct", "openvino", precision, "cpu")
    manifest = Manifest(spec, {}, {"model.bin": size}, {}, seconds, 1_790_000_000.0)
    return StoredEngine(f"{precision}0c4d5e6f7", Path(f"/nowhere/{precision}"), manifest)


def still_store(*engines: StoredEngine) -> EngineStore:
    """Return a store with these engines, typed as the app expects it."""
    return StillStore(built=list(engines))  # type: ignore[return-value]


def turn(name: str, prompt: str = "What is a KV cache?") -> Turn:
    """Return an answered turn of the left or the right side."""
    return Turn(
        prompt=prompt,
        answer=ANSWER,
        prompt_tokens=19,
        prompt_digest="the same on both sides",
        token_ids=tuple(range(143)),
        cached=None,
        timing=FIGURES[name],
        reason="stop",
        engine="OpenVINO int8" if name == "left" else "PyTorch fp32",
        mode="in turn",
    )


Before = Callable[[Pilot[None]], Awaitable[None]]


async def settle(pilot: Pilot[None]) -> None:
    """Wait until everything on the screen is drawn, and stop the cursor from blinking."""
    for screen in pilot.app.screen_stack:
        for area in screen.query(TextArea):
            area.cursor_blink = False
        for entry in screen.query(Input):
            entry.cursor_blink = False
        for panel in screen.query(ThroughputPanel):
            await wait_until(pilot, lambda panel=panel: bool(panel.query("RatePlot")))  # type: ignore[misc]
    app = pilot.app
    assert isinstance(app, StillPlayground)
    app.snapshots.publish(app.sampler.snapshot())
    await until_finished(pilot, "list", "look", "plot", "probe", "read")
    await still(pilot)
    for pane in (pane for screen in pilot.app.screen_stack for pane in screen.query(Pane)):
        await wait_until(pilot, lambda pane=pane: pane.max_scroll_y - pane.scroll_y < 1)  # type: ignore[misc]
        pane.show_phase()
    await pilot.pause()


async def still(pilot: Pilot[None]) -> None:
    """Wait until three frames in a row are the same: keys of the footer are mounted after a change."""
    shown: list[list[Strip]] = []

    def is_still() -> bool:
        shown[:] = [*shown[-2:], drawn_lines(pilot.app)]
        return len(shown) == 3 and shown[0] == shown[1] == shown[2]

    await wait_until(pilot, is_still)


def set_phase(side: Side, phase: Phase, error: protocol.Error | None = None) -> None:
    """Set the phase of a side."""
    backend, precision = ("openvino", "int8") if side.name == "left" else ("pytorch", "fp32")
    side.spec, side.error = EngineSpec("/models/tiny", backend, precision, "cpu"), error
    side.enter(phase)


async def chat_empty(pilot: Pilot[None]) -> None:
    """Show the chat with both engines ready and no turns."""
    app = pilot.app
    assert isinstance(app, StillPlayground)
    for side in app.sides:
        set_phase(side, Phase.READY)
    await settle(pilot)


async def chat_answered(pilot: Pilot[None]) -> None:
    """Show the chat with two turns and the speed comparison."""
    app = pilot.app
    assert isinstance(app, StillPlayground)
    assert isinstance(app.screen, ChatScreen)
    for side in app.sides:
        set_phase(side, Phase.READY)
        pane = app.screen.query_one(f"#pane-{side.name}", Pane)
        for one in (turn(side.name, "Hello!"), turn(side.name)):
            side.conversation.add(one)
            pane.begin()
            pane.finish()
    app.screen.show_comparison()
    await settle(pilot)


async def chat_marked(pilot: Pilot[None]) -> None:
    """Select the last turn of the left side, which has two versions and reasoning before the answer."""
    app = pilot.app
    assert isinstance(app, StillPlayground)
    await chat_answered(pilot)
    again = app.left.conversation.begin_again("OpenVINO int8")
    assert again
    vars(again).update(vars(turn("left")), thought="What do they know?", thought_tokens=7)
    pane = app.screen.query_one("#pane-left", Pane)
    pane.show_conversation()
    pane.transcript.focus()
    await pilot.press("p")
    await settle(pilot)


async def chat_shaded(pilot: Pilot[None]) -> None:
    """Shade the last turn of both sides by the probability of its tokens; the left one is marked."""
    await chat_marked(pilot)
    for pane in pilot.app.screen.query(Pane):
        pane.shade(pane.side.conversation.turns[-1], unsure_answer())
    await settle(pilot)


async def chat_failed(pilot: Pilot[None]) -> None:
    """Show the chat after the left worker was killed while it answered."""
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
    set_phase(app.left, Phase.FAILED, KILLED)
    set_phase(app.right, Phase.READY)
    await settle(pilot)


async def back_to_chat(pilot: Pilot[None]) -> None:
    """Close what is above the chat, and focus its empty prompt."""
    app = pilot.app
    while not isinstance(app.screen, ChatScreen):
        app.pop_screen()
        await pilot.pause()
    prompt = app.screen.query_one(PromptInput)
    prompt.load_text("")
    prompt.focus()
    await pilot.pause()


async def compared(pilot: Pilot[None]) -> None:
    """Show a comparison with two engines, the second one chosen."""
    app = pilot.app
    assert isinstance(app, StillPlayground)
    for side in app.sides:
        set_phase(side, Phase.READY)
    await pilot.press("f5")
    await wait_until(pilot, lambda: isinstance(app.screen, CompareScreen))
    screen = app.screen
    assert isinstance(screen, CompareScreen)
    answer, comparison = sample_answer(), screen.comparison
    reference = EngineSpec("/models/tiny", "pytorch", "bf16")
    comparison.prompts = [AskedPrompt(answer.prompt, ())]
    comparison.specs = [EngineSpec("/models/tiny", "openvino", precision) for precision in ("int8", "int4")]
    comparison.reference, comparison.answer = reference, answer
    screen.about = "PyTorch bf16"
    screen.show_unsaved()
    screen.view.chosen = 1
    screen.view.restart()
    await settle(pilot)


async def compared_own(pilot: Pilot[None]) -> None:
    """Show what each engine wrote on its own."""
    await compared(pilot)
    await pilot.press("f")
    await wait_until(pilot, lambda: len(pilot.app.screen.query(TextColumn)) == 4)
    await settle(pilot)


async def building(pilot: Pilot[None]) -> None:
    """Show Prepare with the left engine being quantised and the right one ready."""
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
    """Show Prepare after the build of the left engine failed."""
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
    app.left.build, app.right.build = left, right
    for name in app.builds:
        app.build_changed.publish(name)
    await settle(pilot)


def by_key(key: str) -> Before:
    """Return a function that shows the answered chat and presses a key."""

    async def before(pilot: Pilot[None]) -> None:
        await chat_answered(pilot)
        await pilot.press(key)
        await wait_until(pilot, lambda: not isinstance(pilot.app.screen, ChatScreen))
        await wait_until(pilot, lambda: is_composed(pilot.app.screen))
        await settle(pilot)

    return before
