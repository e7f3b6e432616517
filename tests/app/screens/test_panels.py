"""The panels with real engines on the CPU, and with the double of NVML."""

from __future__ import annotations

import sys

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from app.playground import Playground
from app.screens.chat import ChatScreen
from app.screens.models import ModelsScreen
from app.state.prepare import bandwidth_cache as bandwidths
from app.state.settings.settings import Settings
from app.state.side.phase import Phase
from app.widgets.panels.answer_panel import AnswerPanel
from app.widgets.panels.device import DevicePanel
from app.widgets.panels.memory_panel import MemoryPanel
from app.widgets.panels.panel import NO_ENGINE, Panel
from engines.measure import gpu
from tests.app.driving import ask, playground, until_ready, until_screen, wait_until
from tests.doubles.nvml import Gpu, Nvml


def shown(pilot: Pilot[None], kind: type[Panel]) -> str:
    """Return the text that a panel shows."""
    drawn = pilot.app.screen.query_one(kind).drawn
    return drawn.plain if drawn else ""


async def until_shown(pilot: Pilot[None], kind: type[Panel], text: str) -> None:
    await wait_until(pilot, lambda: text in shown(pilot, kind))


def watch_panels(app: Playground) -> set[str]:
    """Return a set that collects the texts of the panels, several times between two snapshots."""
    said: set[str] = set()

    def look() -> None:
        said.update(panel.drawn.plain for panel in app.screen.query(Panel) if panel.drawn)

    app.set_interval(0.02, look)
    return said


async def test_panels_ask_for_an_engine_only_while_none_is_chosen(settings: Settings) -> None:
    """At the start with chosen engines; then in a chat without engines, and after some were chosen."""
    app = playground(settings)
    async with app.run_test(size=(120, 36)) as pilot:
        said = watch_panels(app)
        await until_ready(pilot)
        await wait_until(pilot, lambda: "int8" in " ".join(said))
        assert not [text for text in said if NO_ENGINE in text]
    app = playground(replace(settings, chosen=False))
    async with app.run_test(size=(120, 36)) as pilot:
        await until_screen(pilot, ModelsScreen)
        await pilot.press("escape")
        await until_screen(pilot, ChatScreen)
        await until_shown(pilot, MemoryPanel, NO_ENGINE)
        await pilot.press("f2")
        await until_screen(pilot, ModelsScreen)
        app.choose(settings.checkpoint, 512, {"left": settings.left, "right": settings.right})
        await wait_until(pilot, lambda: app.sampler.snapshot().left.title != "")
        app.show_chat()
        said = watch_panels(app)
        await until_ready(pilot)
        await until_shown(pilot, MemoryPanel, "int8")
        assert not [text for text in said if NO_ENGINE in text]


@pytest.mark.usefixtures("bound_by_memory")
async def test_the_answer_panel_shows_cost_and_phases(settings: Settings) -> None:
    """Without a bandwidth and with one; only the first answer includes the load."""
    app = playground(settings)
    async with app.run_test(size=(200, 60)) as pilot:
        await until_ready(pilot)
        await ask(pilot, "What is a KV cache?")
        await until_shown(pilot, AnswerPanel, "MBU: F2, then F5")
        assert "J/token –" in shown(pilot, AnswerPanel)
        assert "load " in shown(pilot, AnswerPanel)
        bandwidths.save_bandwidth(app.device, 1e13)  # faster than any CPU cache
        await until_shown(pilot, AnswerPanel, "MBU <1 %")
        await ask(pilot, "Why is decode memory bound?")
        await wait_until(pilot, lambda: "load " not in shown(pilot, AnswerPanel))
        assert "(no counter)  at most" in shown(pilot, AnswerPanel)
        for side in app.sides:
            assert side.record.cost
            turn = side.conversation.turns[-1]
            assert turn.timing
            assert side.record.cost.rate == turn.timing.decode_rate
            decode = sum(span.seconds for span in side.record.spans() if span.phase is Phase.DECODE)
            assert turn.timing.total
            assert turn.timing.ttft
            assert decode == pytest.approx(turn.timing.total - turn.timing.ttft, abs=0.002)


async def test_the_memory_panel_shows_the_estimate(settings: Settings) -> None:
    """As text in the strip, by part in full screen; a closed engine has no estimate."""
    app = playground(settings)
    async with app.run_test(size=(200, 60)) as pilot:
        await until_ready(pilot)
        await until_shown(pilot, MemoryPanel, "estimated")
        app.screen.query_one(MemoryPanel).focus()
        await pilot.press("f7")
        await wait_until(pilot, lambda: shown(pilot, MemoryPanel).count("total") == 2)
        assert shown(pilot, MemoryPanel).count("KV cache") == 2
        await app.engine(app.left).close()
        assert app.left.estimate is None
        await wait_until(pilot, lambda: shown(pilot, MemoryPanel).count("total") == 1)


async def test_gpus_come_from_the_sampler(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The panel shows GPUs and throttling also where PyTorch sees no GPU and engines run on the CPU."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    card = Gpu(event_reasons=4 | 64)
    library = Nvml((card, Gpu("NVIDIA L4", "GPU-b")))
    monkeypatch.setitem(sys.modules, "pynvml", library)
    monkeypatch.setattr(gpu, "RETRY_SECONDS", 0.0)
    app = playground(settings)
    async with app.run_test(size=(160, 48)) as pilot:
        await until_shown(pilot, DevicePanel, "slowed by power limit and heat")
        assert "123/700 W" in shown(pilot, DevicePanel)
        assert "GPU 1" in shown(pilot, DevicePanel)
        card.event_reasons = 1
        await wait_until(pilot, lambda: "slowed" not in shown(pilot, DevicePanel))
        card.is_lost = True
        await wait_until(pilot, lambda: "GPU 1" not in shown(pilot, DevicePanel))
        assert "GPU 0" in shown(pilot, DevicePanel)
