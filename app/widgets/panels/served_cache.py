"""The KV cache and the requests of a server, as its metrics report them."""

from __future__ import annotations

from textual.content import Content

from app.units import count_text, share_text
from app.widgets.panels.drawing import BarPart, stacked_bar
from engines.worker.values import KVUsage

TITLE = "server"
"""In place of `contiguous` or a number of blocks."""


def is_served(usage: KVUsage | None) -> bool:
    """Return whether the figures are those of a server, which other clients use too."""
    return usage is not None and (usage.running is not None or usage.used_share is not None)


def served_figures(usage: KVUsage) -> list[Content]:
    """Return requests, use and prefix hits, as far as the server reports them."""
    figures = []
    if usage.running is not None:
        waiting = "" if usage.waiting is None else f", {count_text(usage.waiting)} waiting"
        figures.append(f"{count_text(usage.running)} running{waiting}")
    if usage.capacity_tokens:
        share = share_text(usage.tokens, usage.capacity_tokens)
        figures.append(f"{count_text(usage.tokens)} of {count_text(usage.capacity_tokens)} tokens {share}")
    elif usage.used_share is not None:
        figures.append(f"{usage.used_share:.0%} of the cache used".replace("%", " %"))
    if usage.hit_share is not None:
        figures.append(f"{usage.hit_share:.0%} prefix hits since its start".replace("%", " %"))
    if usage.block_tokens:
        figures.append(f"{count_text(usage.block_tokens)} tokens per block")
    return [Content(one) for one in figures]


def served_bar(usage: KVUsage, width: int) -> Content:
    """Return a bar of the used share; empty where the server reports none."""
    if usage.capacity_tokens:
        return stacked_bar((BarPart(usage.tokens, "█", "$kv-used"),), usage.capacity_tokens, width)
    if usage.used_share is None:
        return Content("")
    return stacked_bar((BarPart(round(usage.used_share * 1000), "█", "$kv-used"),), 1000, width)


def served_short_text(usage: KVUsage) -> str:
    """Return what a folded panel shows."""
    if usage.used_share is not None:
        return f"{usage.used_share:.0%}".replace("%", " %")
    return share_text(usage.tokens, usage.capacity_tokens) if usage.capacity_tokens else "n/a"
