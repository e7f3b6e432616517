"""The engine store: complete engines are found, others are listed with the reason, and all can be deleted."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from engines.build.spec import GPUS, EngineSpec, fingerprint, fingerprint_inputs
from engines.build.store import EngineStore, check_space
from engines.build.stored_engine import StoredEngine, UnreadableEngine, damage
from engines.errors import EngineError

SPEC = EngineSpec("/models/one", "openvino", "int8")
IDENTITY = {"config.json": "abc", "header of model.safetensors": "d", "change of model.safetensors": "1"}
INPUTS = fingerprint_inputs(SPEC, IDENTITY, {"openvino": "1"})


def add(store: EngineStore, inputs: dict[str, str] = INPUTS, size: int = 10) -> StoredEngine:
    """An engine of one file."""
    with store.building(inputs) as folder:
        (folder / "weights.bin").write_bytes(bytes(size))
        return store.commit(folder, SPEC, inputs, {"weight_bytes": size}, 1.0)


def test_found_as_it_was_stored(tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    entry = add(store)
    assert store.find(INPUTS) == entry == store.engines()[0]
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
    assert store.engines() == []
    [found] = store.unreadable()
    assert found.directory == manifest.parent
    assert found.reason == f"format {number}, this release reads 1"
    assert found.size == 10 + manifest.stat().st_size
    words = f"the stored engine cannot be used: {found.reason}"
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
        {"built_at": 1e300},
        {"built_at": -1e300},
        {"files": {"weights.bin": -5}},
        {"files": {"weights.bin": 10**300}},
        {"spec": {"checkpoint": "a", "backend": "openvino", "precision": "int8", "options": {GPUS: "two"}}},
    ],
)
def test_a_damaged_manifest(tmp_path: Path, change: dict[str, object]) -> None:
    store = EngineStore(tmp_path)
    manifest = add(store).directory / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | change))
    assert store.find(INPUTS) is None
    assert [(one.reason, one.fingerprint) for one in store.unreadable()] == [
        ("manifest damaged", fingerprint(INPUTS))
    ]
    assert store.why_not_reused(SPEC, INPUTS) == "the stored engine cannot be used: manifest damaged"
    add(store)
    assert store.find(INPUTS)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"backend": "xyz"}, "unknown backend 'xyz'"),
        ({"precision": "int1"}, "unknown precision 'int1'"),
    ],
)
def test_an_engine_of_another_release(tmp_path: Path, change: dict[str, str], reason: str) -> None:
    store = EngineStore(tmp_path)
    manifest = add(store).directory / "manifest.json"
    data = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(data | {"spec": data["spec"] | change}))
    assert store.engines() == []
    assert [one.reason for one in store.unreadable()] == [reason]
    assert store.find(INPUTS) is None


def spoil(store: EngineStore, n: int, size: int = 100) -> UnreadableEngine:
    """An engine without a manifest."""
    entry = add(store, {"n": str(n)}, size)
    (entry.directory / "manifest.json").unlink()
    return next(one for one in store.unreadable() if one.fingerprint == entry.fingerprint)


def test_unreadable_engines_are_found_by_name_and_removed(tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    good, bad = add(store), spoil(store, 1)
    assert (bad.reason, bad.size) == ("manifest missing", 100)
    assert store.matching(bad.fingerprint[:8]) == [bad]
    assert store.matching(good.fingerprint) == [good]
    assert store.matching("") == store.matching("none") == []
    store.remove(bad)
    assert store.unreadable() == []
    assert store.engines() == [good]


def test_a_prefix_of_several_names_matches_all_and_a_full_name_only_one(tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    entry = add(store)
    leftover = tmp_path / "building" / f"{entry.fingerprint}-abc"
    leftover.mkdir()
    assert len(store.matching(entry.fingerprint[:6])) == 2
    assert store.matching(entry.fingerprint) == [entry]
    [found] = store.matching(f"{entry.fingerprint}-")
    assert found.directory == leftover


def test_a_link_and_a_file_in_the_place_of_an_engine_are_removed(tmp_path: Path) -> None:
    """Only the link: what it points to belongs to the user."""
    store = EngineStore(tmp_path / "store")
    elsewhere = add(store).directory.rename(tmp_path / "elsewhere")
    (tmp_path / "store" / "engines" / ("a" * 20)).symlink_to(elsewhere)
    (tmp_path / "store" / "engines" / ("b" * 20)).write_text("a file")
    for entry in [*store.engines(), *store.unreadable()]:
        store.remove(entry)
    assert not list((tmp_path / "store" / "engines").iterdir())
    assert (elsewhere / "weights.bin").exists()


@pytest.mark.timeout(20)
def test_a_pipe_in_the_place_of_the_manifest_is_not_waited_for(tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    manifest = add(store).directory / "manifest.json"
    manifest.unlink()
    os.mkfifo(manifest)
    assert store.engines() == []
    assert [one.reason for one in store.unreadable()] == ["manifest missing"]


@pytest.mark.timeout(20)
def test_a_pipe_in_the_place_of_a_file_is_damage(tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    entry = add(store, size=0)  # as a pipe has
    (entry.directory / "weights.bin").unlink()
    os.mkfifo(entry.directory / "weights.bin")
    assert damage(entry) == "its file weights.bin is a named pipe"
    assert store.find(INPUTS) is None


def test_a_manifest_without_an_end_is_not_read(tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    manifest = add(store).directory / "manifest.json"
    with manifest.open("ab") as stream:
        stream.truncate(1 << 36)
    assert [one.reason for one in store.unreadable()] == ["manifest damaged"]


def test_an_engine_of_a_path_that_is_not_utf_8_is_not_stored(tmp_path: Path) -> None:
    """The manifest is JSON, and could not hold it."""
    store = EngineStore(tmp_path)
    spec = replace(SPEC, checkpoint="/models/caf\udce9")
    with store.building(INPUTS) as folder, pytest.raises(EngineError) as caught:
        store.commit(folder, spec, INPUTS, {}, 1.0)
    assert caught.value.code == "undecodable-path"


def test_a_build_that_died_is_listed_and_a_running_one_is_not(tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    with store.lock(INPUTS) as acquired, store.building(INPUTS) as folder:
        assert acquired
        (folder / "part").write_bytes(bytes(7))
        assert store.unreadable() == []
        died = tmp_path / "building" / ("c" * 20 + "-abc")
        died.mkdir()
        (died / "part").write_bytes(bytes(9))
        assert store.unreadable() == [UnreadableEngine(died.name, died, 9, "unfinished build")]
        store.prune(0)
        assert not died.exists()
        assert (folder / "part").exists()


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
    assert store.prune(250).removed == [entries[0], entries[1]]
    assert store.engines() == [entries[3], entries[2]]
    store.remove(entries[2])
    store.remove(entries[2])


def test_prune_counts_unreadable_engines_and_removes_them_first(tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    old, bad, new = add(store, {"n": "0"}, 100), spoil(store, 1), add(store, {"n": "2"}, 100)
    assert store.prune(300).removed == []
    assert store.prune(250).removed == [bad]
    assert store.engines() == [new, old]
    assert store.prune(0).removed == [old, new]


def test_prune_reports_what_cannot_be_deleted_and_spares_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = EngineStore(tmp_path)
    bad, good = spoil(store, 1), add(store, {"n": "2"}, 100)

    def refuse(entry: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(store, "remove", refuse)
    done = store.prune(150)
    assert done.removed == []
    assert done.problems == [f"{bad.fingerprint}: [Errno 13] Permission denied"]
    assert store.engines() == [good]


def test_no_space(tmp_path: Path) -> None:
    with pytest.raises(
        EngineError, match=r"The engine needs about 1,000,000,000,000 MB and [\d,]+ MB are free"
    ):
        check_space(tmp_path, 10**18)
    check_space(tmp_path, 1)
