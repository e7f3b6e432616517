"""A download says what it needs before it starts, and continues where it ended; no byte is fetched twice."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engines.demo import CHECKPOINT
from engines.errors import EngineError
from engines.hub import blob_download
from engines.hub.cache_state import PART_SUFFIX
from engines.hub.download import plan_download
from engines.plan.checkpoint.chat_template import ChatTemplate, read_chat_template
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.checkpoint.hub_cache import hub_cache_checkpoints
from engines.worker import protocol
from engines.worker.fetch import fetch
from engines.worker.process import EngineProcess
from engines.worker.report import StageReport
from tests.doubles.hub import HubDouble, Model, use_endpoint
from tests.engines.tiny import make_checkpoint

WEIGHTS = "model.safetensors"
SIZE = (CHECKPOINT / WEIGHTS).stat().st_size
TOTAL = sum(file.stat().st_size for file in CHECKPOINT.iterdir())


class Recorder:
    """Takes the events of a fetch in this process."""

    def __init__(self) -> None:
        self.events: list[protocol.Event] = []

    def fetch(self, hub_id: str = "org/demo") -> Path:
        """Download into the hub cache and return the folder."""
        return fetch(hub_id, None, StageReport(self.events.append, 1, ("fetch",)), "pytorch")

    @property
    def progress(self) -> list[tuple[float, float]]:
        """Bytes done and in total."""
        return [(one.done, one.total) for one in self.events if isinstance(one, protocol.Progress)]


@pytest.fixture
def demo(hub: HubDouble, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """The demo checkpoint on the hub; nothing waits before it tries again."""
    monkeypatch.setattr(blob_download, "RETRY_SECONDS", 0.0)
    return hub.add("org/demo", CHECKPOINT)


def part_size(cache: Path, model: Model) -> int:
    """Return the bytes of the unfinished weights in the cache."""
    part = cache / "models--org--demo" / "blobs" / f"{model.digest(WEIGHTS)}{PART_SUFFIX}"
    return part.stat().st_size if part.exists() else 0


async def until(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds."""
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.02)


def test_a_download_is_complete_and_like_one_of_huggingface_hub(
    hub: HubDouble, demo: Model, cache: Path
) -> None:
    recorder = Recorder()
    folder = recorder.fetch()
    (found,) = hub_cache_checkpoints(cache)
    assert (found.hub_id, found.revision, found.is_main) == ("org/demo", demo.commit, True)
    assert found.folder == folder
    assert read_checkpoint(folder).parameters == read_checkpoint(CHECKPOINT).parameters
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == demo.files
    assert all(file.is_symlink() for file in folder.iterdir())
    assert hub.sent == {name: len(data) for name, data in demo.files.items()}
    assert recorder.progress[-1] == (TOTAL, TOTAL)
    done = [done for done, _ in recorder.progress]
    assert done == sorted(done)


def test_additional_chat_templates_are_downloaded_and_other_folders_are_not(
    hub: HubDouble, cache: Path, tmp_path: Path
) -> None:
    made = make_checkpoint(tmp_path / "tiny")
    (made / "chat_template.jinja").unlink()
    for name in ("additional_chat_templates/[a] chat.jinja", "onnx/config.json", "onnx/x.jinja"):
        (made / name).parent.mkdir(exist_ok=True)
        (made / name).write_text("{{ messages }}")
    hub.add("org/tiny", made)
    folder = Recorder().fetch("org/tiny")
    assert read_chat_template(folder) == ChatTemplate("{{ messages }}", "[a] chat")
    assert not (folder / "onnx").exists()


async def test_a_killed_download_continues_and_fetches_no_byte_twice(
    hub: HubDouble, demo: Model, cache: Path, tmp_path: Path
) -> None:
    stop = 5 * 1_000_003
    hub.stop_after[WEIGHTS] = stop
    process = await EngineProcess.start("pytorch", tmp_path / "log")
    asking = asyncio.create_task(process.ask(protocol.Fetch(1, "org/demo")))
    await until(lambda: part_size(cache, demo) == stop)
    await process.kill()
    await asking
    assert not hub_cache_checkpoints(cache)
    planned = plan_download("org/demo")
    assert planned.here == TOTAL - SIZE + stop
    assert planned.missing == SIZE - stop

    hub.release()
    events: list[protocol.Event] = []
    process = await EngineProcess.start("pytorch", tmp_path / "log")
    try:
        answer = await process.ask(protocol.Fetch(1, "org/demo"), events.append)
    finally:
        await process.kill()
    assert isinstance(answer, protocol.Fetched), answer
    assert (WEIGHTS, stop) in hub.ranges
    assert hub.sent == {name: len(data) for name, data in demo.files.items()}
    assert (Path(answer.folder) / WEIGHTS).read_bytes() == demo.files[WEIGHTS]
    first = next(event for event in events if isinstance(event, protocol.Progress))
    assert (first.done, first.total, first.unit) == (TOTAL - SIZE + stop, TOTAL, "bytes")


def test_a_cut_connection_is_continued(hub: HubDouble, demo: Model) -> None:
    hub.cut_after[WEIGHTS] = 4_000_000
    folder = Recorder().fetch()
    assert [start for name, start in hub.ranges if name == WEIGHTS] == [0, 4_000_000, 8_000_000, 12_000_000]
    assert hub.sent[WEIGHTS] == SIZE
    assert (folder / WEIGHTS).read_bytes() == demo.files[WEIGHTS]


def test_a_server_without_ranges_starts_again(hub: HubDouble, demo: Model) -> None:
    hub.cut_after[WEIGHTS] = 4_000_000
    hub.ignores_ranges = True
    recorder = Recorder()
    original = hub.count

    def count(name: str, sent: int) -> None:
        original(name, sent)
        if hub.sent[WEIGHTS] > 6_000_000:
            hub.cut_after.clear()

    hub.count = count  # type: ignore[method-assign]
    folder = recorder.fetch()
    assert (folder / WEIGHTS).read_bytes() == demo.files[WEIGHTS]
    assert max(done for done, _ in recorder.progress) == TOTAL


def test_a_hub_that_vanishes_keeps_what_arrived(
    hub: HubDouble, demo: Model, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = hub.count

    def vanish(name: str, sent: int) -> None:
        original(name, sent)
        if name == WEIGHTS and hub.sent[WEIGHTS] >= 4_000_000:
            use_endpoint(monkeypatch, "http://127.0.0.1:9")

    hub.count = vanish  # type: ignore[method-assign]
    hub.cut_after[WEIGHTS] = 4_000_000
    with pytest.raises(EngineError, match=r"The download of model\.safetensors of org/demo ended") as caught:
        Recorder().fetch()
    assert (caught.value.code, caught.value.hint) == ("no-network", "Start it again: it continues.")
    assert part_size(cache, demo) == 4_000_000


def test_a_wrong_checksum_removes_the_file(hub: HubDouble, demo: Model, cache: Path) -> None:
    demo.sha256[WEIGHTS] = hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(EngineError, match=r"model\.safetensors of org/demo arrived damaged") as caught:
        Recorder().fetch()
    assert caught.value.code == "checksum"
    assert not hub_cache_checkpoints(cache)
    assert not part_size(cache, demo)
    del demo.sha256[WEIGHTS]
    assert (Recorder().fetch() / WEIGHTS).read_bytes() == demo.files[WEIGHTS]


def test_a_part_that_lost_its_bytes_is_found(hub: HubDouble, demo: Model, cache: Path) -> None:
    """After a power cut a part may have its length, and zeros for content."""
    part = cache / "models--org--demo" / "blobs" / f"{demo.digest(WEIGHTS)}{PART_SUFFIX}"
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(1_000_000))
    with pytest.raises(EngineError, match="arrived damaged"):
        Recorder().fetch()
    part.write_bytes(bytes(SIZE + 1))
    assert (Recorder().fetch() / WEIGHTS).read_bytes() == demo.files[WEIGHTS]


def test_a_snapshot_without_all_links_is_not_a_checkpoint(hub: HubDouble, demo: Model, cache: Path) -> None:
    """A kill after the last byte, before huggingface_hub has linked all files."""
    hub.missing.add(f"HEAD org/demo/resolve/{demo.commit}/tokenizer.json")
    with pytest.raises(EngineError):
        Recorder().fetch()
    (snapshot,) = (cache / "models--org--demo" / "snapshots").iterdir()
    assert (snapshot / WEIGHTS).is_file()
    assert not (snapshot / "tokenizer.json").exists()
    assert not hub_cache_checkpoints(cache)
    hub.missing.clear()
    Recorder().fetch()
    assert len(hub_cache_checkpoints(cache)) == 1
    assert hub.sent == {name: len(data) for name, data in demo.files.items()}


def test_what_a_download_needs(hub: HubDouble, demo: Model, cache: Path) -> None:
    planned = plan_download("org/demo")
    assert (planned.total, planned.here, planned.missing) == (TOTAL, 0, TOTAL)
    assert (planned.revision, planned.licence, planned.gated) == (demo.commit, "apache-2.0", False)
    assert planned.free > TOTAL
    assert not cache.exists()
    Recorder().fetch()
    assert plan_download("org/demo").missing == 0


def test_a_full_disk_is_refused_before_the_weights(
    hub: HubDouble, demo: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100_000_000))
    for start in (lambda: plan_download("org/demo"), Recorder().fetch):
        with pytest.raises(EngineError, match=r"needs 15 MB, and 100 MB are free in ") as caught:
            start()
        assert caught.value.code == "disk-full"
    assert WEIGHTS not in hub.sent


def test_a_gated_model_is_explained(hub: HubDouble, demo: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    demo.gated = "manual"
    for start in (lambda: plan_download("org/demo"), Recorder().fetch):
        with pytest.raises(EngineError, match="org/demo is gated") as caught:
            start()
        assert caught.value.code == "gated"
        assert caught.value.hint == "Accept them on huggingface.co/org/demo, then run `hf auth login`."
    monkeypatch.setenv("HF_TOKEN", "hf_of_this_test")
    assert plan_download("org/demo").gated
    assert (Recorder().fetch() / WEIGHTS).read_bytes() == demo.files[WEIGHTS]
    assert not hub.leaked


@pytest.mark.parametrize(
    ("names", "code"),
    [(("model-Q4.gguf",), "unsupported-checkpoint"), (("pytorch_model.bin",), "missing-weights")],
)
def test_other_formats_are_refused(
    hub: HubDouble, cache: Path, tmp_path: Path, names: tuple[str, ...], code: str
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    for name in ("config.json", *names):
        (folder / name).write_text("{}")
    hub.add("org/other", folder)
    for start in (lambda: plan_download("org/other"), lambda: Recorder().fetch("org/other")):
        with pytest.raises(EngineError) as caught:
            start()
        assert caught.value.code == code


def test_a_hub_that_cannot_be_reached(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_endpoint(monkeypatch, "http://127.0.0.1:9")
    with pytest.raises(EngineError) as caught:
        plan_download("org/demo")
    assert caught.value.code == "no-network"


@pytest.mark.parametrize("hub_id", ["org/nothing", "a/b/c", "../x", "", "org/--x"])
def test_a_model_that_does_not_exist(hub: HubDouble, cache: Path, hub_id: str) -> None:
    with pytest.raises(EngineError) as caught:
        plan_download(hub_id)
    assert caught.value.code == "unknown-checkpoint"


async def test_two_downloads_of_one_model_share_the_work(
    hub: HubDouble, demo: Model, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blob_download, "LOCK_SECONDS", 0.05)
    hub.stop_after[WEIGHTS] = 3_000_000
    first, second = Recorder(), Recorder()
    tasks: list[asyncio.Task[Any]] = [asyncio.create_task(asyncio.to_thread(first.fetch))]
    await until(lambda: part_size(cache, demo) == 3_000_000)
    tasks.append(asyncio.create_task(asyncio.to_thread(second.fetch)))
    await until(lambda: bool(second.progress))
    assert second.progress[0][0] == TOTAL - SIZE + 3_000_000
    hub.release()
    folders = await asyncio.gather(*tasks)
    assert folders[0] == folders[1]
    assert hub.sent == {name: len(data) for name, data in demo.files.items()}
