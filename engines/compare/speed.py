"""The decode speed of an engine that is being compared."""

from __future__ import annotations

import asyncio
from statistics import median

import psutil

from engines.compare.comparison import Speed
from engines.compare.engine import ComparedEngine

ANSWERS, TOKENS = 3, 64
PROMPT = "Explain in a few sentences what a computer does with a program."
IDLE_SECONDS = 0.5


async def measure_speed(engine: ComparedEngine) -> Speed:
    """Answer one prompt a few times, greedily and with a fixed length, and return the speed.

    Raises:
        EngineError: the engine cannot answer.
    """
    await engine.load()
    messages = ({"role": "user", "content": PROMPT},)
    prompt = None if engine.is_remote else (await engine.tokenize("", messages)).token_ids
    psutil.cpu_percent(None)
    await asyncio.sleep(IDLE_SECONDS)
    busy = psutil.cpu_percent(None)  # the engine is idle: what other programs use
    timings = [
        await engine.answer(prompt, TOKENS, messages if engine.is_remote else ()) for _ in range(ANSWERS)
    ]
    rates = tuple(one.decode_rate for one in timings if one.decode_rate)
    return Speed(rates, median(one.ttft or 0.0 for one in timings), busy)
