"""The engine store: whole engines are found, others are not, and it is said why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engines.build.spec import EngineSpec, fingerprint, fingerprint_inputs
from engines.build.store import EngineStore, StoredEngine, check_space, damage
from engines.errors import EngineError

SPEC = EngineSpec("/models/one", "openvino", "int8")
IDENTITY = {"config.json": "abc", "header of model.safetensors": "d", "change of model.safetensors": "1"}
INPUTS = fingerprint_inputs(SPEC, IDENTITY, {"openvino": "1"})


def add(store: EngineStore, inputs: dict[str, str] = INPUTS, size: int = 10) -> StoredEngine:
    """An engine of one file."""
    with store.building(inputs) as folder:
        (folder / "weights.bin").write_bytes(bytes(size))
        return store.move_in(folder, SPEC, inputs, {"weight_bytes": size}, 1.0)


def test_found_as_it_was_stored(tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    entry = add(store)
    assert store.find(INPUTS) == entry == store.entries()[0]
    assert (entry.size, entry.spec, damage(entry)) == (10, SPEC, "")


def test_a_missing_or_cut_file(tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    file = add(store).directory / "weights.bin"
    file.write_bytes(b"short")
    assert store.find(INPUTS) is None
    words = "its file weights.bin has another size than when it was built"
    assert store.why_not_reused(SPEC, INPUTS) == words
    file.unlink()
    assert store.why_not_reused(SPEC, INPUTS) == "its file weights.bin is missing"
    add(store)
    assert store.find(INPUTS)


@pytest.mark.parametrize("number", [0, 2, 99])
def test_a_manifest_of_another_format(tmp_path: Path, number: int) -> None:
    store = EngineStore(tmp_path)
    manifest = add(store).directory / "manifest.json"
    manifest.write_text(json.dumps({"format": number, "anything": "else"}))
    assert store.find(INPUTS) is None
    assert store.entries() == []
    assert store.foreign() == [manifest.parent]
    words = "the stored engine was made by another version of this program"
    assert store.why_not_reused(SPEC, INPUTS) == words


@pytest.mark.parametrize(
    "change",
    [
        {"files": []},
        {"files": {"a": "1"}},
        {"built_at": "now"},
        {"spec": {}},
        {"inputs": None},
        {"format": "1"},
    ],
)
def test_a_damaged_manifest(tmp_path: Path, change: dict[str, object]) -> None:
    store = EngineStore(tmp_path)
    manifest = add(store).directory / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | change))
    assert store.find(INPUTS) is None
    assert store.why_not_reused(SPEC, INPUTS) == "the manifest of the stored engine is damaged"


@pytest.mark.parametrize(
    ("identity", "versions", "words"),
    [
        ({}, {"openvino": "2"}, "openvino changed from 1 to 2"),
        ({"config.json": "x"}, {"openvino": "1"}, "the checkpoint's config.json changed"),
        (
            {"header of model.safetensors": "x", "change of model.safetensors": "2"},
            {"openvino": "1"},
            "the checkpoint's model.safetensors changed",
        ),
    ],
)
def test_why_it_is_built_anew(
    tmp_path: Path, identity: dict[str, str], versions: dict[str, str], words: str
) -> None:
    store = EngineStore(tmp_path)
    add(store)
    now = fingerprint_inputs(SPEC, IDENTITY | identity, versions)
    assert fingerprint(now) != fingerprint(INPUTS)
    assert store.why_not_reused(SPEC, now) == words
    assert store.why_not_reused(EngineSpec("/models/two", "openvino", "int8"), now) == ""


def test_what_only_loading_depends_on_is_no_part_of_the_fingerprint() -> None:
    other = EngineSpec("/elsewhere", "openvino", "int8", kv_precision="u8", context=99)
    assert fingerprint_inputs(other, IDENTITY, {"openvino": "1"}) == INPUTS
    for changed in (
        EngineSpec("", "openvino", "int4"),
        EngineSpec("", "openvino", "int8", options={"a": "b"}),
    ):
        assert fingerprint_inputs(changed, IDENTITY, {"openvino": "1"}) != INPUTS


def test_an_unfinished_build_leaves_nothing(tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    with store.building(INPUTS) as folder:
        (folder / "half").touch()
    assert not list((tmp_path / "building").iterdir())


def test_one_builder_at_a_time(tmp_path: Path) -> None:
    with EngineStore(tmp_path).lock(INPUTS) as first, EngineStore(tmp_path).lock(INPUTS) as second:
        assert (first, second) == (True, False)
    with EngineStore(tmp_path).lock(INPUTS) as again:
        assert again


def test_prune_keeps_the_newest(tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    entries = [add(store, {"n": str(n)}, 100) for n in range(4)]
    assert store.prune(250) == [entries[1], entries[0]]
    assert store.entries() == [entries[3], entries[2]]
    store.remove(entries[2])
    store.remove(entries[2])


def test_no_space(tmp_path: Path) -> None:
    with pytest.raises(
        EngineError, match=r"The engine needs about 1,000,000,000,000 MB and [\d,]+ MB are free"
    ):
        check_space(tmp_path, 10**18)
    check_space(tmp_path, 1)
