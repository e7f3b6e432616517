"""Two apps that write the same files at the same time lose nothing of each other's."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path

import msgspec
import pytest

from app.state.conversation.conversation import Conversation, Turn
from app.state.conversation.conversation_file import ConversationFile, rename_conversation
from app.state.conversation.draft import Draft, DraftFile
from app.state.conversation.prompt_history import PromptFile, read_prompts
from app.state.conversation.record import read_record
from app.state.conversation.saved_conversations import delete_conversation, saved_conversations
from app.state.prepare import bandwidth_cache
from app.state.settings.file_lock import FileInUseError
from app.state.settings.settings import ChatOptions, Settings, SettingsFile, load_settings
from engines.build.history import expected_build
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.plan.hardware.hardware import Device
from engines.worker.protocol import Sampling
from tests.app.state.processes import APPS, meet, run_together, running

WRITES = 50


def write_until_saved(write: Callable[[], None], is_saved: Callable[[], bool]) -> None:
    """As the app does: what could not be written, because a lock was held for long, is written again."""
    while not is_saved():
        with contextlib.suppress(OSError):
            write()


def change_settings(name: str, barrier: Barrier, path: Path) -> None:
    settings = load_settings(path)
    file = SettingsFile(path, settings)
    meet(barrier)
    for number in range(1, WRITES + 1):
        presets = {**settings.presets, f"{name} {number}": ChatOptions(f"{name} {number}")}
        if name == "A":
            chat = ChatOptions(f"{number}", settings.left_chat.sampling)
            settings = msgspec.structs.replace(settings, presets=presets, context=number, left_chat=chat)
        else:
            chat = ChatOptions(settings.left_chat.system_prompt, Sampling(top_k=number))
            settings = msgspec.structs.replace(settings, presets=presets, theme=f"{number}", left_chat=chat)
        file.set_pending(settings)
        with contextlib.suppress(OSError):
            file.write()
    write_until_saved(file.write, lambda: not file.unsaved)


def test_settings_and_presets(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    run_together(change_settings, path)
    settings = load_settings(path)
    expected = {f"{name} {number}" for name in APPS for number in range(1, WRITES + 1)}
    assert set(settings.presets) == expected
    assert (settings.context, settings.theme) == (WRITES, f"{WRITES}")
    assert settings.left_chat == ChatOptions(f"{WRITES}", Sampling(top_k=WRITES))


def send_prompts(name: str, barrier: Barrier, path: Path) -> None:
    file = PromptFile(path)
    meet(barrier)
    for number in range(WRITES):
        file.add(f"{name} {number}")
        with contextlib.suppress(OSError):
            file.write()
    write_until_saved(file.write, lambda: not file.unsaved)


def test_prompt_history(tmp_path: Path) -> None:
    path = tmp_path / "data" / "prompts.jsonl"
    run_together(send_prompts, path)
    prompts = read_prompts(path)
    for name in APPS:
        own = [prompt for prompt in prompts if prompt.startswith(name)]
        assert own == [f"{name} {number}" for number in range(WRITES)]
    assert len(prompts) == 2 * WRITES


def measure(name: str, barrier: Barrier) -> None:
    meet(barrier)
    for number in range(1, WRITES + 1):
        bandwidth_cache.save_bandwidth(Device("cpu", "cpu", f"{name} {number}", None, None), number)


def test_bandwidths() -> None:
    run_together(measure)
    expected = {f"{name} {number}": float(number) for name in APPS for number in range(1, WRITES + 1)}
    assert bandwidth_cache.read_bandwidths() == expected


def build(name: str, barrier: Barrier, root: Path) -> None:
    store, spec = EngineStore(root), EngineSpec("/models/one", "openvino", "int8")
    meet(barrier)
    for number in range(WRITES):
        inputs = {"engine": f"{name} {number}"}
        with store.lock(inputs) as alone, store.building(inputs) as folder:
            assert alone
            (folder / "model").write_bytes(b"x")
            store.commit(folder, spec, inputs, {}, 1.0)


def test_build_history(tmp_path: Path) -> None:
    """It is read from the manifests of the store: a file for every build."""
    run_together(build, tmp_path / "store")
    expected = expected_build(EngineStore(tmp_path / "store").engines(), "openvino", "int8", 1)
    assert expected is not None
    assert expected.builds == 2 * WRITES


def talk(name: str, barrier: Barrier, folder: Path, path: Path | None) -> None:
    file = ConversationFile(folder)
    conversation = Conversation()
    if path:
        meet(barrier)
        conversation = file.reopen(read_record(path), path).sides["left"]
    meet(barrier)
    for number in range(WRITES):
        conversation.add(Turn(f"{name} {number}"))
        file.append_turn("left", conversation)
    meet(barrier)  # neither ends before the other has opened its file
    file.close()


def prompts_in(folder: Path) -> list[list[str]]:
    """The prompts of every conversation."""
    records = [read_record(saved.path) for saved in saved_conversations(folder)]
    return sorted([turn.prompt for turn in record.sides["left"].turns] for record in records)


def own_prompts(name: str) -> list[str]:
    return [f"{name} {number}" for number in range(WRITES)]


def one_conversation(folder: Path) -> Path:
    """A conversation of one turn, which no app has open."""
    file, conversation = ConversationFile(folder), Conversation()
    conversation.add(Turn("first", "yes"))
    file.append_turn("left", conversation)
    file.close()
    assert file.path
    return file.path


def test_conversations_that_begin_in_the_same_second(tmp_path: Path) -> None:
    run_together(talk, tmp_path / "new", None)
    assert prompts_in(tmp_path / "new") == [own_prompts("A"), own_prompts("B")]


def test_a_conversation_that_both_continue(tmp_path: Path) -> None:
    """One continues the file, the other a copy; each has the first turn and its own."""
    path = one_conversation(tmp_path / "talks")
    run_together(talk, tmp_path / "talks", path)
    assert prompts_in(tmp_path / "talks") == [["first", *own_prompts("A")], ["first", *own_prompts("B")]]
    titles = {saved.title for saved in saved_conversations(tmp_path / "talks")}
    assert titles == {"first", "first (copy)"}


def hold_conversation(stay: Callable[[], None], path: Path) -> None:
    file = ConversationFile(path.parent)
    file.reopen(read_record(path), path)
    assert not file.is_copy
    stay()


def test_an_open_conversation_is_neither_deleted_nor_renamed(tmp_path: Path) -> None:
    path = one_conversation(tmp_path / "talks")
    before = path.read_bytes()
    with running(hold_conversation, path):
        with pytest.raises(FileInUseError, match="open in another window"):
            delete_conversation(path)
        with pytest.raises(FileInUseError, match="open in another window"):
            rename_conversation(path, "mine")
        assert path.read_bytes() == before
        file = ConversationFile(path.parent)
        file.reopen(read_record(path), path)
        assert (file.is_copy, file.path) == (True, None)
    file.reopen(read_record(path), path)
    assert not file.is_copy, "the other app has ended"
    file.close()
    delete_conversation(path)
    assert saved_conversations(path.parent) == []


def test_a_copy_keeps_versions_names_and_later_choices(tmp_path: Path) -> None:
    path = one_conversation(tmp_path / "talks")
    rename_conversation(path, "A name")
    with running(hold_conversation, path):
        file = ConversationFile(path.parent)
        record = file.reopen(read_record(path), path)
        left = record.sides["left"]
        left.begin_again("engine", 0, "first, edited")
        left.choose(0)
        file.append_choice("left", 0)
        assert file.path is None, "nothing was asked yet"
        file.append_swap()
        left.begin("second", "engine")
        file.append_turn("right", left)
        assert file.path
        copy = read_record(file.path)
    assert [turn.prompt for turn in copy.sides["right"].turns] == ["first", "second"]
    assert copy.name == "A name (copy)"


def test_what_another_app_wrote_before_it_ended_is_reopened(tmp_path: Path) -> None:
    """The conversation grows between the list that was read and Enter."""
    path = one_conversation(tmp_path / "talks")
    stale = read_record(path)
    other = read_record(path)
    writer = ConversationFile(path.parent)
    writer.reopen(other, path)
    other.sides["left"].add(Turn("second", "yes"))
    writer.append_turn("left", other.sides["left"])
    writer.close()
    record = ConversationFile(path.parent).reopen(stale, path)
    assert [turn.prompt for turn in record.sides["left"].turns] == ["first", "second"]


def write_draft(stay: Callable[[], None], path: Path, text: str) -> None:
    file = DraftFile(path)
    file.read()
    file.set_pending(Draft(text))
    file.write()
    stay()


def test_drafts(tmp_path: Path) -> None:
    """A running app's draft is not taken, an ended app's newest one is."""
    path = tmp_path / "data" / "draft.json"
    with running(write_draft, path, "first app"):
        with running(write_draft, path, "second app"):
            third = DraftFile(path)
            assert third.read() == Draft()
            third.set_pending(Draft("third app"))
            third.write()
        names = {file.name for file in path.parent.iterdir()}
        assert names == {"draft.json", "draft-2.json", "draft-3.json"}
        os.utime(path.with_stem("draft-3"), (1, 1))
        third.close()
        fourth = DraftFile(path)
        assert fourth.read() == Draft("second app")
        fourth.set_pending(Draft())
        fourth.write()
        fourth.close()
        fifth = DraftFile(path)
        assert fifth.read() == Draft("third app")
        fifth.close()
    assert {file.name for file in path.parent.iterdir()} == {"draft.json", "draft-3.json"}


def test_a_preset_that_one_app_deletes_stays_deleted(tmp_path: Path) -> None:
    path = tmp_path / "config" / "settings.toml"
    first = Settings(presets={"old": ChatOptions(), "kept": ChatOptions()})
    apps = {name: SettingsFile(path, first) for name in APPS}
    apps["A"].set_pending(first)
    apps["A"].set_pending(msgspec.structs.replace(first, presets={"kept": ChatOptions()}))
    apps["A"].write()
    apps["B"].set_pending(msgspec.structs.replace(first, folded=("Cost",)))
    apps["B"].write()
    assert load_settings(path) == Settings(presets={"kept": ChatOptions()}, folded=("Cost",))
