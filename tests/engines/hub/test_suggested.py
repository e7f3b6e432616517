"""The suggested models have the published sizes, and estimates without a network."""

from __future__ import annotations

from itertools import pairwise

import pytest

from engines.hub.suggested import SUGGESTED, Suggestion
from engines.plan.checkpoint.hub_cache import looks_like_hub_id
from engines.plan.estimate.estimate import estimate_weight_bytes

PUBLISHED = {
    "HuggingFaceTB/SmolLM2-135M-Instruct": (134_515_008, 269_030_016),
    "HuggingFaceTB/SmolLM2-360M-Instruct": (361_821_120, 723_642_240),
    "Qwen/Qwen3-0.6B": (596_049_920, 1_503_264_768),
    "Qwen/Qwen3-1.7B": (1_720_574_976, 4_063_479_808),
    "Qwen/Qwen3-4B": (4_022_468_096, 8_044_936_192),
    "Qwen/Qwen3-8B": (8_190_735_360, 16_381_470_720),
}
"""Parameters, the tied head counted once, and bytes of the tensors in the hub's files (their indexes'
`total_size`, and the parameters that the hub counts)."""


@pytest.mark.parametrize("one", SUGGESTED, ids=lambda one: one.hub_id)
def test_published_sizes(one: Suggestion) -> None:
    model, checkpoint = one.model, one.checkpoint
    assert (model.parameters, model.weight_bytes) == PUBLISHED[model.hub_id]
    assert looks_like_hub_id(model.hub_id)
    assert not model.gated
    assert not checkpoint.folder.exists()
    assert checkpoint.kv_bytes_per_token(2) > 0
    assert 0 < estimate_weight_bytes(checkpoint, "int8") < estimate_weight_bytes(checkpoint, "bf16")


def test_one_for_each_class_of_memory() -> None:
    sizes = [one.model.weight_bytes or 0 for one in SUGGESTED]
    assert sizes == sorted(sizes)
    assert all(larger > 1.8 * smaller for smaller, larger in pairwise(sizes))
