"""Search finds models with their facts, and keeps the last results for days without a network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engines.demo import CHECKPOINT
from engines.errors import EngineError
from engines.hub import search as search_module
from engines.hub.models import HubModel
from engines.hub.search import last_results, search
from tests.doubles.hub import HubDouble, use_endpoint

COUNT = 7_340_032
"""Any number of parameters."""
TINY = HubModel("org/tiny-chat", COUNT, 2 * COUNT, "mit", False, 500, 7, "text-generation")


def add_tiny(hub: HubDouble) -> None:
    """Add the model that TINY describes."""
    facts = {"safetensors": {"parameters": {"BF16": COUNT}, "total": COUNT}}
    hub.add("org/tiny-chat", CHECKPOINT, licence="mit", downloads=500, likes=7, facts=facts)


def test_the_facts_of_the_models(hub: HubDouble) -> None:
    add_tiny(hub)
    hub.add("org/large-chat", CHECKPOINT, gated="manual", downloads=900)
    hub.add("org/other", CHECKPOINT)
    found = search("  Chat ")
    assert [model.hub_id for model in found] == ["org/large-chat", "org/tiny-chat"]
    assert [model.gated for model in found] == [True, False]
    assert found[1] == TINY
    assert search("chat", limit=1) == found[:1]


def test_results_are_kept_for_days_without_a_network(
    hub: HubDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "cache" / "searches.json"
    assert last_results("tiny", store=store) is None
    add_tiny(hub)
    search("Tiny", store=store)
    use_endpoint(monkeypatch, "http://127.0.0.1:9")
    with pytest.raises(EngineError, match=r"The hub cannot be reached\.") as caught:
        search("tiny", store=store)
    assert caught.value.code == "no-network"
    kept = last_results(" tiny", store=store)
    assert kept is not None
    assert kept.models == (TINY,)
    assert kept.date.tzinfo is not None
    assert last_results("other", store=store) is None


def test_only_the_newest_queries_are_kept(
    hub: HubDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "MAX_STORED_QUERIES", 2)
    store = tmp_path / "searches.json"
    for text in ("one", "two", "one", "three"):
        search(text, store=store)
    assert last_results("two", store=store) is None
    assert last_results("one", store=store)
    assert last_results("three", store=store)
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["searches.json"]


@pytest.mark.parametrize(
    "answer",
    [b"<html>please log in</html>", b"{}", b"[" * 100_000, b" " * 4_000_001],
    ids=["page", "object", "nested", "large"],
)
def test_an_answer_that_is_no_list(hub: HubDouble, answer: bytes) -> None:
    hub.answers["api/models"] = answer
    with pytest.raises(EngineError, match="The hub's answer cannot be used") as caught:
        search("chat")
    assert caught.value.code == "hub-error"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_hub_that_refuses(hub: HubDouble, status: int) -> None:
    hub.status = status
    with pytest.raises(EngineError, match=str(status)) as caught:
        search("chat")
    assert caught.value.code == "hub-error"


def test_offline_mode_is_named(hub: HubDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(EngineError) as caught:
        search("chat")
    assert caught.value.code == "no-network"
    assert "HF_HUB_OFFLINE" in caught.value.hint


def test_fields_of_wrong_types_are_left_out(hub: HubDouble) -> None:
    hub.answers["api/models"] = json.dumps(
        [
            7,
            {"id": "../../etc/passwd"},
            {"id": ["org/name"]},
            {
                "id": "org/odd",
                "downloads": "many",
                "likes": -1,
                "gated": "auto",
                "pipeline_tag": "\x1b[31mred",
                "tags": [None, "license:" + "x" * 1000],
                "safetensors": {"parameters": {"BF16": 10**30, "F7": 3}, "total": "big"},
            },
        ]
    ).encode()
    (found,) = search("odd")
    assert (found.hub_id, found.downloads, found.likes, found.gated) == ("org/odd", 0, 0, True)
    assert found.pipeline == "[31mred"
    assert len(found.licence) == 80
    assert found.weight_bytes is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"tiny": 7}',
        '{"tiny": {"date": "x", "models": []}}',
        '{"tiny": {"date": 7, "models": [7]}}',
    ],
)
def test_a_damaged_store_holds_nothing(tmp_path: Path, content: str) -> None:
    store = tmp_path / "searches.json"
    store.write_text(content)
    assert last_results("tiny", store=store) is None
