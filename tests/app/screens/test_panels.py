"""The panels over real engines on the CPU, and over the double of NVML."""

from __future__ import annotations

import sys

import pytest
from textual.pilot import Pilot

from app.state.prepare import bandwidth_cache as bandwidths
from app.state.settings.settings import Settings
from app.state.side.snapshot import Phase
from app.widgets.panels.answer_panel import AnswerPanel
from app.widgets.panels.device import DevicePanel
from app.widgets.panels.memory_panel import MemoryPanel
from app.widgets.panels.panel import Panel
from engines.measure import gpu
from tests.app.driving import ask, playground, until_ready, wait_until
from tests.doubles.nvml import Gpu, Nvml


def shown(pilot: Pilot[None], kind: type[Panel]) -> str:
    """What a panel has drawn."""
    drawn = pilot.app.screen.query_one(kind)._drawn
    return drawn.plain if drawn else ""


async def until_shown(pilot: Pilot[None], kind: type[Panel], text: str) -> None:
    await wait_until(pilot, lambda: text in shown(pilot, kind))


async def test_an_answer_tells_what_it_took(settings: Settings) -> None:
    """The bandwidth is missing, then measured; the load belongs to the first answer alone."""
    app = playground(settings)
    async with app.run_test(size=(200, 60)) as pilot:
        await until_ready(pilot)
        await ask(pilot, "What is a KV cache?")
        await until_shown(pilot, AnswerPanel, "measure the bandwidth in Prepare (F2, F5)")
        assert "J/token –" in shown(pilot, AnswerPanel)
        assert "◌" in shown(pilot, AnswerPanel)
        bandwidths._remember(app.device, 1e15)  # so fast that no cache could be faster
        await until_shown(pilot, AnswerPanel, "MBU <1%")
        assert "(no counter)  at most" in shown(pilot, AnswerPanel)
        await ask(pilot, "Why is decode memory bound?")
        await wait_until(pilot, lambda: "◌" not in shown(pilot, AnswerPanel))
        for side in app.sides:
            assert side.record.cost
            turn = side.conversation.turns[-1]
            assert turn.timing
            assert side.record.cost.rate == turn.timing.decode_rate
            decode = sum(span.seconds for span in side.record.spans() if span.phase is Phase.DECODE)
            assert turn.timing.total
            assert turn.timing.ttft
            assert decode == pytest.approx(turn.timing.total - turn.timing.ttft, abs=0.002)


async def test_the_estimate_stands_beside_what_is_loaded(settings: Settings) -> None:
    """In the strip in words, in full screen part by part; an engine that has gone has none."""
    app = playground(settings)
    async with app.run_test(size=(200, 60)) as pilot:
        await until_ready(pilot)
        await until_shown(pilot, MemoryPanel, "estimated")
        app.screen.query_one(MemoryPanel).focus()
        await pilot.press("f7")
        await wait_until(pilot, lambda: shown(pilot, MemoryPanel).count("in all") == 2)
        assert shown(pilot, MemoryPanel).count("KV cache") == 2
        await app.left.close()
        assert app.left.estimate is None
        await wait_until(pilot, lambda: shown(pilot, MemoryPanel).count("in all") == 1)


async def test_gpus_come_from_the_sampler(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines stay on the CPU where PyTorch sees no GPU; the panel shows it all the same, and its heat."""
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
