"""Serve the protocol for an engine that runs on a server: it gets messages and returns text.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import cast

from engines.backends.registry import backend_class
from engines.backends.remote import Conversation, Ended, RemoteBackend, Started
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.worker import protocol
from engines.worker.checks import sampling_problem
from engines.worker.context_window import prompt_digest
from engines.worker.load_test import LoadPrompt, LoadRun, check_load_test
from engines.worker.remote_answer import RemoteAnswer
from engines.worker.report import StageReport
from engines.worker.service import USAGE_SECONDS, Service


class RemoteService(Service):
    """Runs commands with a RemoteBackend, without a checkpoint and a tokenizer."""

    def _contact(self, command: protocol.Contact) -> protocol.Contacted:
        backend = self._new_backend()
        try:
            return protocol.Contacted(command.id, backend.contact(EngineSpec.from_json(command.spec)))
        finally:
            backend.close()

    def _load(self, command: protocol.Load) -> protocol.Ready:
        if self.backend is not None:
            self.backend.close()
            self.backend = None
        backend, started = self._new_backend(), time.monotonic()
        report = StageReport(self.send, command.id, backend.load_stages)
        try:
            backend.load(EngineSpec.from_json(command.spec), Path(), None, report)
        except BaseException:
            backend.close()
            raise
        self.backend = backend
        return protocol.Ready(
            id=command.id,
            memory=protocol.MemoryUsage(),
            kv=backend.kv_usage() or protocol.KVUsage(),
            context=backend.context_tokens,
            load_seconds=time.monotonic() - started,
            ignored_sampling=backend.ignored_sampling,
            template_variables=backend.template_variables,
            server=backend.facts,
        )

    def _generate(self, command: protocol.Generate, received_ns: int) -> protocol.Done:
        backend = self._connected()
        if command.token_ids is not None:
            raise EngineError("unsupported", f"{backend.facts.kind} is asked with messages, not token ids.")
        _check_sampling(command.sampling)
        answer = RemoteAnswer(command.id, command.sampling.max_tokens, self.send)
        finished = threading.Event()
        usage = threading.Thread(target=self._report_usage, args=(command.id, finished), daemon=True)

        def begin(started: Started) -> None:
            self._send_started(command.id, started)
            usage.start()

        def stopped() -> bool:
            return answer.is_too_long or self.is_stopped(command.id)

        conversation = Conversation(
            command.messages, command.sampling, command.trim, command.template_arguments
        )
        try:
            ended = backend.answer(conversation, begin, answer.add, stopped)
        except EngineError:
            answer.flush()  # what came before the error is kept
            raise
        finally:
            finished.set()
            if usage.is_alive():
                usage.join()
        if answer.is_too_long and not self.is_stopped(command.id):
            ended = Ended("length", ended.server, ended.cached)
        return answer.done(ended)

    def _send_started(self, identity: int, started: Started) -> None:
        digest = prompt_digest(started.prompt_ids) if started.prompt_ids else ""
        tokens = len(started.prompt_ids) or started.prompt_tokens
        self.send(protocol.Prompt(identity, tokens, digest, started.t_ns, left_out=started.left_out))

    def _report_usage(self, identity: int, finished: threading.Event) -> None:
        """Send what the server's metrics say, until the answer has ended and once more.

        In its own thread: a slow answer about metrics must not delay the text.
        """
        ended = False
        while not ended:
            ended = finished.wait(USAGE_SECONDS)
            if found := self._connected().kv_usage():
                self.send(protocol.KV(identity, found))

    def _tokenize(self, command: protocol.Tokenize) -> protocol.Tokenized:
        """Use the tokenizer of the named checkpoint on this machine; that of the server if none is named."""
        if command.checkpoint:
            return super()._tokenize(command)
        ids = self._connected().token_ids(command.text)
        return protocol.Tokenized(command.id, ids, ("",) * len(ids))

    def _count(self, command: protocol.CountTokens) -> protocol.TokensCounted:
        backend = self._connected()
        found = backend.count(command.messages, command.texts)
        return protocol.TokensCounted(
            command.id, found.tokens, backend.context_tokens, least=found.tokens, texts=found.texts
        )

    def _load_test(self, command: protocol.LoadTest) -> protocol.LoadTested:
        """Let the users ask the server as it runs: its KV cache cannot be chosen here."""
        backend = self._connected()
        check_load_test(command)
        _check_sampling(command.sampling)
        report = StageReport(self.send, command.id, ("users",))
        report.stage("users")
        prompts = [LoadPrompt(text, (), command.sampling) for text in command.prompts]
        batch = backend.open_batch(command.users, command.kv_tokens, report)
        try:
            run = LoadRun(
                command, prompts, batch, frozenset(), self.send, lambda: self.is_stopped(command.id)
            )
            stopped = run.run()
        finally:
            batch.close()
        return protocol.LoadTested(command.id, stopped)

    def _prepare(self, _: protocol.Prepare) -> protocol.Prepared:
        raise EngineError("no-build", "An engine on a server is not built.")

    def _new_backend(self) -> RemoteBackend:
        return cast("RemoteBackend", backend_class(self.backend_name)())

    def _connected(self) -> RemoteBackend:
        return cast("RemoteBackend", self.engine())


def _check_sampling(sampling: protocol.Sampling) -> None:
    """Reject values out of range.

    Raises:
        EngineError: `bad-sampling`.
    """
    if problem := sampling_problem(sampling):
        raise EngineError("bad-sampling", problem, "Change it in the settings.")
