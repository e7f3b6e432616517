"""Serve the protocol in a worker: read commands, run one backend, write events.

The main thread owns the backend. A reader thread receives commands, so that `stop` works while tokens are
generated. A third thread sends a heartbeat once a second, so that the app can distinguish busy from hung.
"""

from __future__ import annotations

import gc
import os
import platform
import queue
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from engines.backends.base import Backend, Generated
from engines.backends.registry import BACKENDS, backend_class
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.worker import protocol
from engines.worker.answer import Answer
from engines.worker.built_engine import BuiltEngine, identity, return_freed_memory
from engines.worker.checks import fit_sampling, smoke_test, warm_up
from engines.worker.context_window import FittedPrompt, count_tokens, fit_prompt, prompt_digest
from engines.worker.error_mapping import to_error_event
from engines.worker.fetch import fetch
from engines.worker.load_test import LoadRun, check_load_test, load_prompts, tokens_needed
from engines.worker.report import NestedReport, StageReport
from engines.worker.rewritten_turns import Rewritten, RewrittenTurns
from engines.worker.scoring import score, tokenize
from engines.worker.thought_stream import ThoughtStream
from engines.worker.tokenizer import Tokenizer
from engines.worker.tokenizer_process import Stopped, TokenizerProcess, open_tokenizer
from engines.worker.untrusted import check_checkpoint, check_engine, explained
from engines.worker.visible_gpus import only_own_gpus

HEARTBEAT_SECONDS = 1.0
USAGE_SECONDS = 0.25
"""Interval of KV and memory events: panels are drawn at most four times a second."""
LOG_BYTES = 16_000_000
"""A larger log is truncated: a library that warns at every token must not fill the disk."""


class Service:
    """Runs commands one after the other until `shutdown`."""

    def __init__(self, backend: str, commands: BinaryIO, events: BinaryIO) -> None:
        self.backend_name = backend
        self.backend: Backend | None = None
        self.tokenizer: Tokenizer | TokenizerProcess | None = None
        self._built: BuiltEngine | None = None
        """The engine of the last `prepare`, until `load` takes it over."""
        self._commands = commands
        self._events = events
        self._writing = threading.Lock()
        self._inbox: queue.Queue[tuple[protocol.Command, int]] = queue.Queue()
        self._stops: dict[int, threading.Event] = {}
        """Stop flags of all requested answers that have not ended, by command id."""
        self._closing = threading.Event()
        self._busy: protocol.Command | None = None
        self._rewritten_turns = RewrittenTurns()

    def run(self) -> None:
        """Send Hello, then serve commands until `shutdown`. End the process if the app exits."""
        self.send(
            protocol.Hello(protocol.PROTOCOL, os.getpid(), platform.python_version(), self.backend_name)
        )
        threading.Thread(target=self._read, daemon=True, name="reader").start()
        threading.Thread(target=self._send_heartbeats, daemon=True, name="heartbeat").start()
        while True:
            command, received_ns = self._inbox.get()
            if isinstance(command, protocol.Shutdown):
                for one in (self.backend, self._built):
                    if one is not None:
                        one.close()
                return
            self._busy = command
            self._serve(command, received_ns)
            self._busy = None

    def send(self, event: protocol.Event) -> None:
        """Write one event. Exit if the app closed the pipe."""
        line = protocol.encode(event)
        try:
            with self._writing:
                self._events.write(line)
                self._events.flush()
        except OSError:
            os._exit(1)

    def _read(self) -> None:
        for line in self._commands:
            received_ns = time.monotonic_ns()
            try:
                command = protocol.decode_command(line)
            except protocol.ProtocolError as error:
                self._reject(line, "bad-command", f"The worker cannot read a command: {error}.")
                continue
            if command is None:
                self._reject(line, "unknown-command", "The worker is older than the app: it lacks a command.")
            else:
                self._accept(command, received_ns)
        # The app closed stdin or died. The main thread may be in native code: exit without waiting for it.
        os._exit(0)

    def _accept(self, command: protocol.Command, received_ns: int) -> None:
        if isinstance(command, protocol.Stop):
            if stop := self._stops.get(command.id):
                stop.set()
            return
        if isinstance(command, protocol.CountTokens):
            # In its own thread: the main thread may be generating, and a long text would delay `stop` here.
            threading.Thread(target=self._serve, args=(command, received_ns), daemon=True).start()
            return
        if isinstance(command, (protocol.Generate, protocol.LoadTest)):
            self._stops[command.id] = threading.Event()
        elif isinstance(command, protocol.Shutdown):
            self._closing.set()  # an answer ends within a step; other commands are not waited for
            if not isinstance(self._busy, (protocol.Generate, type(None))):
                os._exit(0)
        self._inbox.put((command, received_ns))

    def _reject(self, line: bytes, code: str, message: str) -> None:
        print(f"{code}: {line[:400]!r}")
        self.send(protocol.Error(protocol.command_id(line), code, message))

    def _send_heartbeats(self) -> None:
        while True:
            time.sleep(HEARTBEAT_SECONDS)
            self.send(protocol.Heartbeat())
            try:
                if os.fstat(2).st_size > LOG_BYTES:
                    os.ftruncate(2, 0)
            except OSError:
                pass  # the log is not a regular file

    def _serve(self, command: protocol.Command, received_ns: int) -> None:
        try:
            self._end(command, self.handlers(received_ns)[type(command)](command))
        except BaseException as error:
            traceback.print_exc()  # goes to the log
            self._end(command, to_error_event(command.id, error))

    def handlers(self, received_ns: int) -> dict[type, Callable[[Any], protocol.Event]]:
        """Return what serves each command, by its type."""
        return {
            protocol.Describe: self._describe,
            protocol.Fetch: self._fetch,
            protocol.Contact: self._contact,
            protocol.Prepare: self._prepare,
            protocol.Load: self._load,
            protocol.Generate: lambda generate: self._generate(generate, received_ns),
            protocol.Score: self._score,
            protocol.LoadTest: self._load_test,
            protocol.Tokenize: self._tokenize,
            protocol.CountTokens: self._count,
        }

    def is_stopped(self, command_id: int) -> bool:
        """Return whether the answer is to end: the user stopped it, or the app is closing."""
        stop = self._stops.get(command_id)
        return self._closing.is_set() or (stop is not None and stop.is_set())

    def _end(self, command: protocol.Command, event: protocol.Event) -> None:
        """Send the last event of a command; after it the app may reuse the id."""
        self._stops.pop(command.id, None)
        self.send(event)

    def _describe(self, command: protocol.Describe) -> protocol.Described:
        backend = backend_class(self.backend_name)
        availability = backend.probe()
        return protocol.Described(
            id=command.id,
            available=availability.available,
            versions=availability.versions | {"engine format": str(backend.engine_format)},
            reason=availability.reason,
            hint=availability.hint,
            devices=availability.devices,
        )

    def _fetch(self, command: protocol.Fetch) -> protocol.Fetched:
        report = StageReport(self.send, command.id, ("fetch",))
        report.stage("fetch")
        folder = fetch(command.checkpoint, command.revision, report, self.backend_name)
        return protocol.Fetched(command.id, str(folder))

    def _contact(self, _: protocol.Contact) -> protocol.Event:
        raise EngineError("no-server", "The engines of this backend run on this machine.")

    def _prepare(self, command: protocol.Prepare) -> protocol.Prepared:
        spec, directory = only_own_gpus(EngineSpec.from_json(command.spec)), Path(command.directory)
        checkpoint = Path(spec.checkpoint)
        self._release_built()
        backend = backend_class(self.backend_name)()
        report = StageReport(self.send, command.id, (*backend.prepare_stages, "smoke test"))
        with explained("The engine cannot be built", directory):
            check_checkpoint(checkpoint)
            tokenizer = open_tokenizer(checkpoint)
            backend.start_process()
            facts = backend.prepare(spec, checkpoint, directory, report)
            report.stage("smoke test")
            if why := backend.cannot_load(spec):
                report.log(f"no smoke test: {why}")
            else:
                smoke_test(backend, tokenizer, spec, directory, report)
        built = BuiltEngine(spec, identity(directory), backend, tokenizer)
        if not why and BACKENDS[self.backend_name].hands_over:
            self._built = built
        else:
            built.close()
        return protocol.Prepared(command.id, facts, loaded=self._built is not None)

    def _release_built(self) -> None:
        if self._built is not None:
            self._built.close()
            self._built = None

    def _load(self, command: protocol.Load) -> protocol.Ready:
        gc.unfreeze()
        if self.backend is not None:  # close the old engine first: both would need twice the memory
            self.backend.close()
            self.backend = None
        if self.tokenizer is not None:
            self.tokenizer.close()
            self.tokenizer = None
        self._rewritten_turns = RewrittenTurns()
        spec = only_own_gpus(EngineSpec.from_json(command.spec))
        directory = Path(command.directory) if command.directory else None
        started = time.monotonic()
        built = self._take_built(spec, directory)
        backend = built.backend if built else backend_class(self.backend_name)()
        report = StageReport(self.send, command.id, (*backend.load_stages, "warm up"))
        with explained("The engine cannot be loaded"):
            self.tokenizer = built.tokenizer if built else _open_checked(spec, directory)
            if built and directory:
                backend.moved(directory)
                return_freed_memory()
            else:
                backend.start_process()
                backend.load(spec, Path(spec.checkpoint), directory, report)
            report.stage("warm up")
            warm_up_tokens = warm_up(backend, self.tokenizer)
        self.backend = backend
        # The loaded objects live as long as the engine. A garbage collection would traverse all of them in
        # the middle of an answer, which takes 0.2 s with PyTorch imported and 0.33 s after compiling a model.
        gc.freeze()
        return protocol.Ready(
            id=command.id,
            memory=backend.memory_usage() or protocol.MemoryUsage(),
            kv=backend.kv_usage() or protocol.KVUsage(),
            context=backend.context_tokens,
            chat_template=self.tokenizer.has_chat_template,
            warm_up_tokens=warm_up_tokens,
            load_seconds=time.monotonic() - started,
            handed_over=built is not None,
            ignored_sampling=backend.ignored_sampling,
            template_variables=self.tokenizer.template_variables,
        )

    def _take_built(self, spec: EngineSpec, directory: Path | None) -> BuiltEngine | None:
        """Return what `prepare` left loaded, if that is the engine in `directory`; release any other."""
        built = self._built
        if built is None or directory is None or not built.is_engine(spec, directory):
            self._release_built()
            return None
        self._built = None
        return built

    def _generate(self, command: protocol.Generate, received_ns: int) -> protocol.Done:
        backend, tokenizer = self._loaded()
        tokenizer.stopped = lambda: self.is_stopped(command.id)
        try:
            prompt = fit_prompt(command, tokenizer, backend.context_tokens)
            rewritten = self._rewritten_turns.take(command, prompt, tokenizer.decode)
            thoughts = _thoughts(command, tokenizer)
        except Stopped:
            return protocol.Done(command.id, "stopped", "", ())
        token_ids = prompt.token_ids
        sampling, reduced = fit_sampling(command.sampling, len(token_ids), backend.context_tokens)
        self._send_prompt(command, prompt, rewritten, received_ns)
        answer = Answer(command.id, tokenizer, sampling.stop, self.send, thoughts)
        usage_sent = time.monotonic()

        def emit(ids: Sequence[int]) -> None:
            nonlocal usage_sent
            answer.add(ids, time.monotonic_ns())
            if time.monotonic() - usage_sent >= USAGE_SECONDS:
                usage_sent = time.monotonic()
                self._send_usage(command.id)

        def stopped() -> bool:
            return answer.stop_text_found or tokenizer.stopped()

        try:
            generated = Generated("stopped")  # stopped before the prefill
            if not stopped():
                generated = backend.generate(token_ids, sampling, tokenizer.eos_token_ids, emit, stopped)
                self._send_usage(command.id)
            reason = "context" if reduced and generated.reason == "length" else generated.reason
            done = answer.done(reason, generated.cached)
            if backend.reuses_prefix:
                self._rewritten_turns.keep(command, prompt, done, tokenizer.eos_token_ids)
            return done
        except Stopped:
            return answer.cut()

    def _send_prompt(
        self, command: protocol.Generate, prompt: FittedPrompt, rewritten: Rewritten, received_ns: int
    ) -> None:
        _, tokenizer = self._loaded()
        has_system = command.token_ids is None and any(one["role"] == "system" for one in command.messages)
        self.send(
            protocol.Prompt(
                id=command.id,
                tokens=len(prompt.token_ids),
                digest=prompt_digest(prompt.token_ids),
                t_ns=received_ns,
                left_out=prompt.dropped_turns,
                merged_system=has_system and tokenizer.template_facts.merges_system,
                rewritten=rewritten.tokens,
                rewritten_cause=rewritten.cause,
            )
        )

    def _count(self, command: protocol.CountTokens) -> protocol.TokensCounted:
        backend, tokenizer = self._loaded()
        return count_tokens(command, tokenizer.counting, backend.context_tokens)

    def _tokenize(self, command: protocol.Tokenize) -> protocol.Tokenized:
        return tokenize(command, self.tokenizer)

    def _score(self, command: protocol.Score) -> protocol.Scored:
        backend = self.engine()
        most = backend.context_tokens or len(command.token_ids)  # a server may not report its window
        if not 2 <= len(command.token_ids) <= most:
            raise EngineError("context-full", f"Scoring takes 2 to {backend.context_tokens} tokens.")
        scores = score(backend, command)
        return protocol.Scored(
            command.id,
            tuple(scores.logprobs),
            tuple(tuple(row) for row in scores.top_ids),
            tuple(tuple(row) for row in scores.top_logprobs),
            tuple(scores.ranks),
            tuple(scores.kl),
        )

    def _load_test(self, command: protocol.LoadTest) -> protocol.LoadTested:
        backend, tokenizer = self._loaded()
        check_load_test(command)
        tokenizer.stopped = lambda: self.is_stopped(command.id)
        report = StageReport(self.send, command.id, ("load for users", "users", "load"))
        try:
            prompts = load_prompts(
                command, lambda messages: tokenizer.prompt_ids(messages, {}), backend.context_tokens
            )
        except Stopped:
            return protocol.LoadTested(command.id, stopped=True)
        report.stage("load for users")
        nested = NestedReport(report, "engine")
        batch = backend.open_batch(command.users, tokens_needed(command, prompts), nested)
        try:
            report.stage("users")
            run = LoadRun(command, prompts, batch, tokenizer.eos_token_ids, self.send, tokenizer.stopped)
            stopped = run.run()
        finally:
            report.stage("load")
            batch.close()
        return protocol.LoadTested(command.id, stopped)

    def _loaded(self) -> tuple[Backend, Tokenizer | TokenizerProcess]:
        backend = self.engine()
        assert self.tokenizer is not None
        return backend, self.tokenizer

    def engine(self) -> Backend:
        """Return the backend of the loaded engine.

        Raises:
            EngineError: `not-loaded`.
        """
        if self.backend is None:
            raise EngineError("not-loaded", "No engine is loaded in this worker.", "Load one first.")
        return self.backend

    def _send_usage(self, command_id: int) -> None:
        backend, _ = self._loaded()
        if usage := backend.kv_usage():
            self.send(protocol.KV(command_id, usage))
        if memory := backend.memory_usage():
            self.send(protocol.Memory(command_id, memory))


def _thoughts(command: protocol.Generate, tokenizer: Tokenizer | TokenizerProcess) -> ThoughtStream | None:
    """Return what separates the thoughts of an answer; None for one that continues token ids."""
    if command.token_ids is not None:
        return None
    tags = tokenizer.thought_tags
    opened = tokenizer.opened_thought(command.messages, command.template_arguments)
    return ThoughtStream(tags, next((one for one in tags if opened in one.openings), None))


def _open_checked(spec: EngineSpec, directory: Path | None) -> Tokenizer | TokenizerProcess:
    """Check the files of an engine and of its checkpoint, and return its tokenizer.

    Raises:
        EngineError: what is wrong with them.
    """
    checkpoint = Path(spec.checkpoint)
    if directory is None:
        check_checkpoint(checkpoint)
    else:  # the weights were checked when it was built
        check_engine(checkpoint, directory)
    return open_tokenizer(checkpoint)
