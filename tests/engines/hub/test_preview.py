"""A preview has the facts of the downloaded checkpoint, reads headers only, and cannot be loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engines.build.prepare import local_folder
from engines.build.spec import EngineSpec
from engines.demo import CHECKPOINT
from engines.errors import EngineError
from engines.hub import kept_preview
from engines.hub import preview as preview_module
from engines.hub.preview import read_remote
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.estimate.estimate import estimate_weight_bytes
from tests.doubles.hub import HubDouble, use_endpoint
from tests.engines.tiny import make_checkpoint

WEIGHTS = "model.safetensors"


def test_facts_without_weights(hub: HubDouble, tmp_path: Path) -> None:
    model = hub.add("org/demo", CHECKPOINT)
    found, known = read_remote("org/demo", folder=tmp_path / "previews"), read_checkpoint(CHECKPOINT)
    for name in (
        "architecture",
        "shape",
        "weights",
        "quantisation",
        "has_tokenizer",
        "has_chat_template",
        "card",
    ):
        assert getattr(found, name) == getattr(known, name), name
    assert found.name == "org/demo"
    assert found.identity["hub revision"] == model.commit
    assert estimate_weight_bytes(found, "int8") == estimate_weight_bytes(known, "int8")
    header = 8 + int.from_bytes((CHECKPOINT / WEIGHTS).read_bytes()[:8], "little")
    assert hub.sent[WEIGHTS] <= max(header, preview_module.FIRST_BYTES)
    assert "tokenizer.json" not in hub.sent
    assert sum(hub.sent.values()) < 100_000


@pytest.mark.parametrize(
    "place",
    [
        "chat_template.json",
        "processor_config.json",
        "tokenizer_config.json",
        "additional_chat_templates/chat.jinja",
    ],
)
def test_a_template_is_found_in_every_place(hub: HubDouble, tmp_path: Path, place: str) -> None:
    folder = make_checkpoint(tmp_path / "tiny")
    (folder / "chat_template.jinja").unlink()
    hub.add("org/base", folder)
    assert not read_remote("org/base", folder=tmp_path / "previews").has_chat_template
    (folder / place).parent.mkdir(exist_ok=True)
    (folder / place).write_text(json.dumps({"chat_template": "{{ messages }}"}))
    hub.add("org/chat", folder)
    assert read_remote("org/chat", folder=tmp_path / "previews").has_chat_template


def test_a_preview_is_no_checkpoint(hub: HubDouble, tmp_path: Path, cache: Path) -> None:
    hub.add("org/demo", CHECKPOINT)
    previews = tmp_path / "previews"
    found = read_remote("org/demo", folder=previews)
    assert local_folder(EngineSpec("org/demo", "pytorch", "fp32")) is None
    names = {file.name for file in previews.rglob("*") if file.is_file()}
    assert not {name for name in names if name.endswith((".safetensors", "config.json"))}
    with pytest.raises(EngineError, match=r"has no config\.json"):
        read_checkpoint(found.folder)
    assert sum(file.stat().st_size for file in previews.rglob("*")) < 200_000
    assert not cache.exists()


def test_a_preview_is_kept_by_commit(hub: HubDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add("org/demo", CHECKPOINT)
    found = read_remote("org/demo", folder=tmp_path)
    hub.sent.clear()
    assert read_remote("org/demo", folder=tmp_path) == found
    assert not hub.sent
    use_endpoint(monkeypatch, "http://127.0.0.1:9")
    assert read_remote("org/demo", folder=tmp_path) == found
    for missing in (("org/other", None), ("org/demo", "v2")):
        with pytest.raises(EngineError) as caught:
            read_remote(*missing, folder=tmp_path)
        assert caught.value.code == "no-network"


def test_a_new_commit_is_read_again(hub: HubDouble, tmp_path: Path) -> None:
    hub.add("org/demo", CHECKPOINT)
    first = read_remote("org/demo", folder=tmp_path / "previews")
    other = make_checkpoint(tmp_path / "other", "qwen3")
    hub.add("org/demo", other)
    second = read_remote("org/demo", folder=tmp_path / "previews")
    assert (first.model_type, second.model_type) == ("llama", "qwen3")


def test_shards_and_long_headers(hub: HubDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview_module, "FIRST_BYTES", 64)
    folder = make_checkpoint(tmp_path / "sharded", max_shard_size="500KB")
    shards = list(folder.glob("*.safetensors"))
    assert len(shards) > 1
    (folder / "consolidated.safetensors").write_bytes(b"another copy")
    hub.add("org/sharded", folder)
    found = read_remote("org/sharded", folder=tmp_path / "previews")
    (folder / "consolidated.safetensors").unlink()
    assert found.weights == read_checkpoint(folder).weights
    for shard in shards:
        assert hub.sent[shard.name] == 8 + int.from_bytes(shard.read_bytes()[:8], "little")


def test_the_checks_of_a_checkpoint_are_made(hub: HubDouble, tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "tiny")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["T5Model"]}))
    hub.add("org/tiny", folder)
    with pytest.raises(EngineError) as caught:
        read_remote("org/tiny", folder=tmp_path / "previews")
    assert caught.value.code == "not-causal-lm"


def test_a_missing_tokenizer_is_named_by_hub_id(hub: HubDouble, tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "tiny")
    (folder / "tokenizer.json").unlink()
    hub.add("org/tiny", folder)
    with pytest.raises(EngineError, match=r"^org/tiny has no tokenizer\.$"):
        read_remote("org/tiny", folder=tmp_path / "previews")


@pytest.mark.parametrize("length", [0, 10**9, 2**63])
def test_a_header_that_cannot_be(hub: HubDouble, tmp_path: Path, length: int) -> None:
    folder = make_checkpoint(tmp_path / "tiny")
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(length.to_bytes(8, "little") + data[8:])
    hub.add("org/tiny", folder)
    with pytest.raises(EngineError) as caught:
        read_remote("org/tiny", folder=tmp_path / "previews")
    assert caught.value.code == "broken-weights"
    assert hub.sent[WEIGHTS] <= preview_module.FIRST_BYTES


def test_a_server_without_ranges_sends_no_more_than_is_read(hub: HubDouble, tmp_path: Path) -> None:
    hub.add("org/demo", CHECKPOINT)
    hub.ignores_ranges = True
    found = read_remote("org/demo", folder=tmp_path / "previews")
    assert found.weights == read_checkpoint(CHECKPOINT).weights
    assert hub.sent[WEIGHTS] < (CHECKPOINT / WEIGHTS).stat().st_size


def test_a_gated_model(hub: HubDouble, tmp_path: Path) -> None:
    hub.add("org/demo", CHECKPOINT, gated="auto")
    with pytest.raises(EngineError) as caught:
        read_remote("org/demo", folder=tmp_path / "previews")
    assert caught.value.code == "gated"


def test_names_that_leave_the_folder_are_not_used(hub: HubDouble, tmp_path: Path) -> None:
    model = hub.add("org/demo", CHECKPOINT)
    siblings = model.siblings()
    odd = {"size": 3, "blobId": "a" * 40}
    siblings += [
        {"rfilename": name} | odd
        for name in (
            "../x.json",
            "/etc/x.json",
            "a\\b.json",
            "..",
            "\n.json",
            "additional_chat_templates/../x.jinja",
            "additional_chat_templates/",
            "additional_chat_templates/a/b.jinja",
        )
    ]
    siblings += [{"rfilename": "y.json", "size": 3, "blobId": "../../y"}]
    model.facts["siblings"] = siblings
    model.siblings = lambda: siblings  # type: ignore[method-assign]
    assert read_remote("org/demo", folder=tmp_path / "previews").name == "org/demo"
    assert {path.name for path in tmp_path.iterdir()} == {"previews"}


def test_only_the_newest_previews_are_kept(
    hub: HubDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_preview, "MAX_PREVIEWS", 2)
    for name in "abc":
        hub.add(f"org/{name}", CHECKPOINT)
        read_remote(f"org/{name}", folder=tmp_path)
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"org--b", "org--c"}
