"""Failures of a worker: the caller always gets an Error event, and no process is left."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import psutil
import pytest

from engines.errors import EngineError
from engines.worker import protocol
from engines.worker.process import EngineProcess
from tests.engines.worker.helpers import (
    LONG,
    MISBEHAVING,
    answer,
    eventually,
    generate,
    is_gone,
    last_error,
    load,
    loaded,
    pytorch_spec,
    session_is_empty,
)

BAD_MESSAGE = "The worker sent an invalid message: "


async def start_misbehaving(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str, silence: float = 60.0
) -> EngineProcess:
    """Start the misbehaving double."""
    monkeypatch.setenv("MISBEHAVIOUR", how)
    return await EngineProcess.start("pytorch", tmp_path / "log", str(MISBEHAVING), silence)


@pytest.mark.parametrize(
    ("how", "code", "message"),
    [
        ("no_json", "worker-nonsense", BAD_MESSAGE + "not JSON: 'Loading weights: 100%"),
        ("wrong_types", "worker-nonsense", BAD_MESSAGE + "done.reason: '5' is not str"),
        ("long_line", "worker-nonsense", BAD_MESSAGE + "Separator is not found"),
        ("other_protocol", "worker-nonsense", BAD_MESSAGE + "protocol 99, expected 2"),
        ("no_hello", "worker-nonsense", BAD_MESSAGE + "the first one is not hello"),
        ("flood", "worker-nonsense", BAD_MESSAGE + "more than 1,000 lines per second"),
        ("closed_output", "worker-nonsense", "The worker closed its output and kept running."),
        ("silent", "worker-hung", "The worker has sent nothing for 1.5 seconds."),
        ("forked_child", "worker-died", "The worker ended: killed by SIGKILL."),
        ("half_a_line", "worker-died", "The worker ended: killed by SIGKILL."),
        ("no_such_function", "worker-died", "The worker ended: exit code 1."),
    ],
)  # fmt: skip
async def test_misbehaviour(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str, code: str, message: str
) -> None:
    process = await start_misbehaving(monkeypatch, tmp_path, how, 1.5 if how == "silent" else 60.0)
    async with asyncio.timeout(100):
        error = await process.ask(protocol.Describe(process.next_id()))
    assert isinstance(error, protocol.Error)
    assert (error.code, error.message[: len(message)]) == (code, message)
    assert error.hint.startswith("Restart this side")
    assert process.ended.is_set()
    assert not process.alive
    assert session_is_empty(process.pid)
    assert await process.ask(protocol.Describe(process.next_id())) == protocol.Error(
        2, error.code, error.message, error.hint, error.detail
    )
    await process.close()
    await process.kill()


async def test_the_error_has_the_log_of_a_worker_that_failed_to_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    process = await start_misbehaving(monkeypatch, tmp_path, "no_such_function")
    error = await process.ask(protocol.Describe(1))
    assert isinstance(error, protocol.Error)
    assert "KeyError: 'no_such_function'" in error.detail


async def test_messages_of_a_newer_worker_are_accepted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    process = await start_misbehaving(monkeypatch, tmp_path, "unknown_event")
    assert await process.ask(protocol.Describe(1)) == protocol.Described(1, True)
    await process.kill()


async def test_a_missing_interpreter(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"The worker cannot be started: .*No such file") as caught:
        await EngineProcess.start("pytorch", tmp_path / "log", "/nowhere/python")
    assert caught.value.code == "no-worker"


async def test_an_interpreter_that_is_not_python(tmp_path: Path) -> None:
    process = await EngineProcess.start("pytorch", tmp_path / "log", "/bin/cat")
    error = await process.ask(protocol.Describe(1))
    assert isinstance(error, protocol.Error)
    assert error.message == "The worker ended: exit code 1."
    assert "invalid option -- 'c'" in error.detail


async def test_killed_while_idle(tmp_path: Path) -> None:
    process = await EngineProcess.start("pytorch", tmp_path / "log")
    assert isinstance(await process.ask(protocol.Describe(process.next_id())), protocol.Described)
    os.kill(process.pid, signal.SIGKILL)
    await asyncio.wait_for(process.ended.wait(), 60)
    error = await process.ask(protocol.Describe(process.next_id()))
    assert error == protocol.Error(
        2,
        "worker-died",
        "The worker ended: killed by SIGKILL.",
        "Restart this side; the conversation is kept."
        " If the machine ran out of memory, choose a smaller precision or context.",
        "",
    )
    assert is_gone(process.pid)


async def test_killed_while_loading(tiny_llama: Path, tmp_path: Path) -> None:
    process = await EngineProcess.start("pytorch", tmp_path / "log")
    events = []
    async for event in process.run(protocol.Load(1, pytorch_spec(tiny_llama).to_json())):
        events.append(event)
        if isinstance(event, protocol.Stage) and event.name == "load":
            os.kill(process.pid, signal.SIGKILL)
    assert last_error(events).message == "The worker ended: killed by SIGKILL."
    assert is_gone(process.pid)


async def test_killed_and_crashed_while_answering(tiny_llama: Path, tmp_path: Path) -> None:
    """A native crash writes its traceback to the log, whose tail is part of the error."""
    process = await loaded(tiny_llama, tmp_path / "log", 1_000_000)
    events = []
    async for event in process.run(generate(process, "Hello", LONG)):
        events.append(event)
        if isinstance(event, protocol.Chunk):
            os.kill(process.pid, signal.SIGSEGV)
    error = last_error(events)
    assert error.message == "The worker ended: killed by SIGSEGV."
    assert "Fatal Python error: Segmentation fault" in process.log_tail(200)
    assert error.detail == process.log_tail()
    assert is_gone(process.pid)


async def test_stopped_by_the_system_counts_as_hung_and_is_removed(tiny_llama: Path, tmp_path: Path) -> None:
    process = await EngineProcess.start("pytorch", tmp_path / "log", silence=2.0)
    await load(process, pytorch_spec(tiny_llama, 1_000_000))
    events = []
    async for event in process.run(generate(process, "Hello", LONG)):
        events.append(event)
        if isinstance(event, protocol.Chunk) and len(events) < 10:
            os.kill(process.pid, signal.SIGSTOP)
    error = last_error(events)
    assert (error.code, error.message) == (
        "worker-hung",
        "The worker has sent nothing for 2 seconds.",
    )
    assert is_gone(process.pid)


async def test_close_ends_an_answer_within_a_step(tiny_llama: Path, tmp_path: Path) -> None:
    process = await loaded(tiny_llama, tmp_path / "log", 1_000_000)
    events: list[protocol.Event] = []
    answering = asyncio.create_task(process.ask(generate(process, "Hello", LONG), events.append))
    assert await eventually(lambda: any(isinstance(event, protocol.Chunk) for event in events))
    await asyncio.gather(process.close(), process.close())
    last = await answering
    assert isinstance(last, protocol.Done)
    assert last.reason == "stopped"
    assert is_gone(process.pid)
    error = await process.ask(protocol.Describe(process.next_id()))
    assert isinstance(error, protocol.Error)
    assert (error.code, error.message) == ("worker-closed", "The worker was closed.")


async def test_close_does_not_wait_for_a_load(tiny_llama: Path, tmp_path: Path) -> None:
    process = await EngineProcess.start("pytorch", tmp_path / "log")
    events: list[protocol.Event] = []
    command = protocol.Load(1, pytorch_spec(tiny_llama).to_json())
    loading = asyncio.create_task(process.ask(command, events.append))
    assert await eventually(lambda: bool(events))
    await process.close()
    error = await loading
    assert isinstance(error, protocol.Error)
    assert error.code == "worker-closed"


async def test_a_worker_that_ignores_commands_and_sigterm_is_closed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("engines.worker.process.TERMINATE_SECONDS", 0.3)
    process = await start_misbehaving(monkeypatch, tmp_path, "deaf")
    many = tuple(range(10_000))
    scores = [asyncio.create_task(process.ask(protocol.Score(process.next_id(), many))) for _ in range(40)]
    await asyncio.sleep(0)  # they are sent: more than a pipe holds
    await process.close(deadline=0.3)
    assert is_gone(process.pid)
    assert {getattr(error, "code", "") for error in await asyncio.gather(*scores)} == {"worker-closed"}


async def test_close_kills_the_worker_when_it_is_cancelled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    process = await start_misbehaving(monkeypatch, tmp_path, "deaf")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(process.close(), 0.2)
    assert await eventually(lambda: is_gone(process.pid))


def test_closing_the_event_loop_ends_a_worker_that_is_being_closed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The reader, which waits for the exit, and `close` are cancelled; neither may wait for the other."""

    async def begin_to_close() -> int:
        process = await start_misbehaving(monkeypatch, tmp_path, "closed_output")
        asyncio.create_task(process.close())  # noqa: RUF006 - the end of the loop cancels it
        await asyncio.sleep(0.5)
        assert not process.ended.is_set()
        return process.pid

    assert is_gone(asyncio.run(begin_to_close()))


async def test_processes_of_the_worker_end_with_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    process = await start_misbehaving(monkeypatch, tmp_path, "helpers")
    assert await eventually(lambda: not session_has_one(process.pid))
    await process.kill()
    assert session_is_empty(process.pid)


def session_has_one(pid: int) -> bool:
    """Return whether the worker is still alone in its session."""
    members = [other for other in psutil.pids() if psutil.pid_exists(other) and sid(other) == pid]
    return len(members) < 2


def sid(pid: int) -> int:
    """Return the session id of a process; 0 if it is gone."""
    try:
        return os.getsid(pid)
    except OSError:
        return 0


async def test_cancelling_the_start_leaves_nothing(tmp_path: Path) -> None:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    for pause in (0.0, 0.001, 0.01):
        task = asyncio.create_task(EngineProcess.start("pytorch", tmp_path / "log"))
        await asyncio.sleep(pause)
        if not task.cancel():
            await task.result().kill()
        await asyncio.gather(task, return_exceptions=True)
        if not task.cancelled():
            await task.result().kill()

    def left() -> set[int]:
        return {child.pid for child in psutil.Process().children(recursive=True)} - before

    assert await eventually(lambda: not left())


async def test_fifty_workers_leak_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ours = psutil.Process()

    async def cycle() -> None:
        process = await EngineProcess.start("pytorch", tmp_path / "log")
        await process.ask(protocol.Describe(1))
        await process.close()

    tasks = len(asyncio.all_tasks())
    await cycle()
    assert await eventually(lambda: len(asyncio.all_tasks()) == tasks)
    before = ours.num_fds()
    for _ in range(10):
        await asyncio.gather(*(cycle() for _ in range(5)))
    assert await eventually(lambda: ours.num_fds() <= before)
    assert await eventually(lambda: len(asyncio.all_tasks()) == tasks)
    assert not [child for child in ours.children() if child.status() == psutil.STATUS_ZOMBIE]


async def test_leaving_an_answer_stops_it(tiny_llama: Path, tmp_path: Path) -> None:
    """After the caller stops iterating, the engine must not stay busy."""
    process = await loaded(tiny_llama, tmp_path / "log", 1_000_000)
    events = process.run(generate(process, "Hello", LONG))
    async for event in events:
        if isinstance(event, protocol.Chunk):
            break
    await events.aclose()
    last = (await answer(process, "Hello", protocol.Sampling(max_tokens=2)))[-1]
    assert isinstance(last, protocol.Done)
    await process.close()
