"""The worker's side of the protocol: commands in, events out, one backend in between.

The main thread owns the backend. A reader thread takes commands, so that `stop` arrives while tokens
flow; a third thread beats once a second, so that busy and dead can be told apart.
"""

from __future__ import annotations

import errno
import os
import platform
import queue
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from engines.backends.base import Backend
from engines.backends.registry import backend_class
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.worker import protocol
from engines.worker.answer import Answer
from engines.worker.fetch import fetch
from engines.worker.tokenizer import Tokenizer

HEARTBEAT_SECONDS = 1.0
KV_SECONDS = 0.25
"""Panels draw four times a second at most."""
WARM_UP_TOKENS = 4
"""The first answers pay for lazy allocation and kernel selection; four steps are past it."""
SMOKE_TOKENS = 8


class Service:
    """Runs commands one after the other until shutdown."""

    def __init__(self, backend: str, commands: BinaryIO, events: BinaryIO) -> None:
        self.backend_name = backend
        self.backend: Backend | None = None
        self.tokenizer: Tokenizer | None = None
        self._commands = commands
        self._events = events
        self._writing = threading.Lock()
        self._inbox: queue.Queue[tuple[protocol.Command, int]] = queue.Queue()
        self._stop_ids: set[int] = set()

    def run(self) -> None:
        """Say hello, then serve. Returns after `shutdown`; ends the process when the app is gone."""
        self.send(
            protocol.Hello(protocol.PROTOCOL, os.getpid(), platform.python_version(), self.backend_name)
        )
        threading.Thread(target=self._read, daemon=True, name="reader").start()
        threading.Thread(target=self._beat, daemon=True, name="heartbeat").start()
        while True:
            command, received_ns = self._inbox.get()
            if isinstance(command, protocol.Shutdown):
                self._close()
                return
            self._serve(command, received_ns)

    def send(self, event: protocol.Event) -> None:
        """Write one event; a closed pipe means that the app is gone, and so are we."""
        try:
            with self._writing:
                self._events.write(protocol.encode(event))
        except OSError:
            os._exit(1)

    def _read(self) -> None:
        for line in self._commands:
            received_ns = time.monotonic_ns()
            try:
                command = protocol.decode_command(line)
            except protocol.ProtocolError as error:
                self.send(protocol.Error(0, "bad-command", f"The worker cannot read a command: {error}."))
                continue
            if isinstance(command, protocol.Stop):
                self._stop_ids.add(command.id)
            elif command is not None:
                self._inbox.put((command, received_ns))
        # The app closed our stdin or died. The main thread may be deep in native code: do not wait.
        os._exit(0)

    def _beat(self) -> None:
        while True:
            time.sleep(HEARTBEAT_SECONDS)
            self.send(protocol.Heartbeat())

    def _serve(self, command: protocol.Command, received_ns: int) -> None:
        handlers: dict[type, Callable[[Any], protocol.Event]] = {
            protocol.Describe: self._describe,
            protocol.Fetch: self._fetch,
            protocol.Prepare: self._prepare,
            protocol.Load: self._load,
            protocol.Generate: lambda generate: self._generate(generate, received_ns),
            protocol.Score: self._score,
        }
        try:
            event = handlers[type(command)](command)
        except BaseException as error:
            traceback.print_exc()  # into the log
            event = _as_error(command.id, error)
        self.send(event)

    def _describe(self, command: protocol.Describe) -> protocol.Described:
        found = backend_class(self.backend_name).probe()
        return protocol.Described(
            command.id, found.available, found.versions, found.reason, found.hint, found.devices
        )

    def _fetch(self, command: protocol.Fetch) -> protocol.Fetched:
        report = StageReport(self, command.id, ("fetch",))
        report.stage("fetch")
        return protocol.Fetched(command.id, str(fetch(command.checkpoint, command.revision, report)))

    def _prepare(self, command: protocol.Prepare) -> protocol.Prepared:
        spec, directory = EngineSpec.from_json(command.spec), Path(command.directory)
        backend = backend_class(self.backend_name)()
        report = StageReport(self, command.id, (*backend.prepare_stages, "smoke test"))
        facts = backend.prepare(spec, Path(spec.checkpoint), directory, report)
        report.stage("smoke test")
        _smoke_test(backend, spec, directory, report)
        backend.close()
        return protocol.Prepared(command.id, facts)

    def _load(self, command: protocol.Load) -> protocol.Ready:
        spec = EngineSpec.from_json(command.spec)
        checkpoint = Path(spec.checkpoint)
        backend = backend_class(self.backend_name)()
        report = StageReport(self, command.id, (*backend.load_stages, "warm up"))
        started = time.monotonic()
        self.tokenizer = Tokenizer(checkpoint)
        backend.load(spec, checkpoint, Path(command.directory) if command.directory else None, report)
        report.stage("warm up")
        warmed = _warm_up(backend, self.tokenizer)
        self.backend = backend
        return protocol.Ready(
            command.id,
            backend.memory_usage() or protocol.MemoryUsage(),
            backend.kv_usage() or protocol.KVUsage(),
            backend.context_tokens,
            self.tokenizer.has_chat_template,
            warmed,
            time.monotonic() - started,
        )

    def _generate(self, command: protocol.Generate, received_ns: int) -> protocol.Done:
        backend, tokenizer = self._loaded()
        token_ids = (
            tokenizer.prompt_ids(command.messages) if command.token_ids is None else list(command.token_ids)
        )
        sampling, cut = _fit(command.sampling, len(token_ids), backend.context_tokens)
        self.send(protocol.Prompt(command.id, tuple(token_ids), received_ns))
        answer = Answer(command.id, tokenizer, sampling.stop, self.send)
        looked = time.monotonic()

        def emit(ids: Any) -> None:
            nonlocal looked
            answer.add(ids, time.monotonic_ns())
            if time.monotonic() - looked >= KV_SECONDS:
                looked = time.monotonic()
                self._send_kv(command.id)

        def stopped() -> bool:
            return answer.stop_text_found or command.id in self._stop_ids

        generated = backend.generate(token_ids, sampling, tokenizer.eos_token_ids, emit, stopped)
        self._stop_ids.discard(command.id)
        self._send_kv(command.id)
        reason = answer.reason(generated.reason)
        return answer.done("context" if cut and reason == "length" else reason, generated.cached)

    def _score(self, command: protocol.Score) -> protocol.Scored:
        backend, _ = self._loaded()
        if not 2 <= len(command.token_ids) <= backend.context_tokens:
            raise EngineError("context-full", f"Scoring takes 2 to {backend.context_tokens} tokens.")
        scores = backend.score(command.token_ids, command.top_k)
        return protocol.Scored(
            command.id,
            tuple(scores.logprobs),
            tuple(tuple(row) for row in scores.top_ids),
            tuple(tuple(row) for row in scores.top_logprobs),
        )

    def _loaded(self) -> tuple[Backend, Tokenizer]:
        if self.backend is None or self.tokenizer is None:
            raise EngineError("not-loaded", "No engine is loaded in this worker.", "Load one first.")
        return self.backend, self.tokenizer

    def _send_kv(self, identity: int) -> None:
        backend, _ = self._loaded()
        if usage := backend.kv_usage():
            self.send(protocol.KV(identity, usage))
        if memory := backend.memory_usage():
            self.send(protocol.Memory(identity, memory))

    def _close(self) -> None:
        if self.backend is not None:
            self.backend.close()


class StageReport:
    """Turns a backend's reports into events."""

    def __init__(self, service: Service, identity: int, stages: tuple[str, ...]) -> None:
        self._service = service
        self._id = identity
        self._stages = stages

    def stage(self, name: str) -> None:
        """A stage begins."""
        index = self._stages.index(name) + 1
        self._service.send(protocol.Stage(self._id, name, index, len(self._stages)))

    def progress(self, done: float, total: float, unit: str = "") -> None:
        """How far the current stage is."""
        self._service.send(protocol.Progress(self._id, float(done), float(total), unit))

    def log(self, line: str) -> None:
        """A line for the user's log view."""
        self._service.send(protocol.Log(self._id, line))


class _Quiet:
    """A report that nobody reads: for loading within the smoke test."""

    def stage(self, name: str) -> None:
        pass

    def progress(self, done: float, total: float, unit: str = "") -> None:
        pass

    def log(self, line: str) -> None:
        print(line)


def _fit(sampling: protocol.Sampling, prompt_tokens: int, context: int) -> tuple[protocol.Sampling, bool]:
    """Cut max_tokens to the room that the prompt leaves; says whether it was cut."""
    room = context - prompt_tokens
    if room < 1:
        raise EngineError(
            "context-full",
            f"The conversation is {prompt_tokens:,} tokens long and the engine holds {context:,}.",
            "Clear the chat, send a shorter prompt, or prepare the engine with a longer context.",
        )
    return replace(sampling, max_tokens=min(sampling.max_tokens, room)), sampling.max_tokens > room


def _warm_up(backend: Backend, tokenizer: Tokenizer) -> int:
    sampling = protocol.Sampling(max_tokens=WARM_UP_TOKENS, ignore_eos=True)
    prompt = tokenizer.plain_ids("Hello")
    backend.generate(prompt, sampling, frozenset(), lambda _: None, lambda: False)
    return WARM_UP_TOKENS


def _smoke_test(backend: Backend, spec: EngineSpec, directory: Path, report: StageReport) -> None:
    """Load the new engine and let it speak: a broken conversion shows before anybody relies on it."""
    tokenizer = Tokenizer(Path(spec.checkpoint))
    backend.load(spec, Path(spec.checkpoint), directory, _Quiet())
    seen: list[int] = []
    prompt = tokenizer.plain_ids("Hello")
    sampling = protocol.Sampling(max_tokens=SMOKE_TOKENS, ignore_eos=True)
    backend.generate(prompt, sampling, frozenset(), seen.extend, lambda: False)
    scores = backend.score([*prompt, *seen]).logprobs
    if len(seen) != SMOKE_TOKENS or not all(-1e4 < value <= 1e-3 for value in scores):
        raise EngineError(
            "smoke-test",
            "The engine was built but its first answer is not made of probabilities.",
            "Try another precision, and report this with the log.",
        )
    report.log(f"smoke test: {tokenizer.decode(seen)!r}")


def _as_error(identity: int, error: BaseException) -> protocol.Error:
    detail = "".join(traceback.format_exception(error))[-8000:]
    if isinstance(error, EngineError):
        return protocol.Error(identity, error.code, error.message, error.hint)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return protocol.Error(
            identity,
            "disk-full",
            "The disk is full.",
            "Free some space, for example with `trt-playground engines prune`, then try again.",
            detail,
        )
    if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__:
        return protocol.Error(
            identity,
            "out-of-memory",
            "There is not enough memory.",
            "Choose a smaller precision or context, or close the other side's engine.",
            detail,
        )
    words = str(error).strip().splitlines()
    message = f"{type(error).__name__}: {words[0] if words else 'no message'}"
    hint = "This should not happen: please report it with the log."
    return protocol.Error(identity, "internal", message[:500], hint, detail)
