"""What the KV cache panel shows of a server: what its metrics report, and nothing else."""

from __future__ import annotations

from app.state.side.phase import Phase
from app.state.side.side import Side
from app.state.side.snapshot import SideSnapshot, Snapshot
from app.widgets.panels.kv_blocks import KVBlocksPanel
from engines.worker.protocol import Chunk, KVUsage

BLOCKS = KVUsage(
    tokens=1600, capacity_tokens=6400, block_tokens=16, used_blocks=100, free_blocks=300, total_blocks=400,
    used_share=0.25, running=2, waiting=1, hit_share=0.25,
)  # fmt: skip


def drawn(usage: KVUsage | None) -> str:
    side = SideSnapshot("vLLM at desk:8000", Phase.READY, kv=usage)
    return KVBlocksPanel().draw(Snapshot(0.0, side, SideSnapshot("")), 100, 6).plain


def test_blocks_requests_and_hits() -> None:
    text = drawn(BLOCKS)
    for words in ("100 of 400 blocks 25 %", "2 running, 1 waiting", "25 % prefix hits since its start"):
        assert words in text
    assert "0 B" not in text


def test_a_share_alone_and_requests_alone() -> None:
    text = drawn(KVUsage(used_share=0.5, running=1, waiting=0))
    assert "50 % of the cache used" in text
    assert "█" in text
    text = drawn(KVUsage(running=1))
    assert "1 running" in text
    assert "contiguous" not in text
    assert "█" not in text


def test_a_server_without_metrics() -> None:
    assert "not reported" in drawn(None)


def test_pieces_are_not_counted_as_tokens() -> None:
    side = Side("left")
    side.take(Chunk(1, (), (1, 2, 3), "three pieces", unit="pieces"))
    assert side.rate() == 0
    assert side.record.gaps == (1e-9, 1e-9)
    side.take(Chunk(1, (), (4, 5), "two tokens", unit="tokens"))
    assert side.rate() > 0
