"""An engine that is opened for a comparison: prepared, loaded, asked, and closed again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from engines.build.prepare import OnStep, PreparedEngine, StartWorker, prepare
from engines.build.server import is_remote
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.compare.asked_prompt import AskedPrompt
from engines.measure.timing import Timing, timing
from engines.worker import protocol
from engines.worker.process import EngineProcess
from engines.worker.request import request


class ComparedEngine:
    """An engine that is loaded, and its worker."""

    def __init__(
        self,
        process: EngineProcess,
        prepared: PreparedEngine,
        on_step: OnStep,
        ready: protocol.Ready | None = None,
    ) -> None:
        """Create it; `ready` is given where the worker has loaded the engine."""
        self._process = process
        self._on_step = on_step
        self.prepared = prepared
        self.ready = ready
        self.tokenizer_folder = prepared.spec.checkpoint
        """Checkpoint whose tokenizer is used; for an engine on a server that of the reference."""

    @property
    def is_remote(self) -> bool:
        """Whether the engine runs on a server, which is asked with messages, not token ids."""
        return is_remote(self.prepared.spec)

    async def load(self) -> protocol.Ready:
        """Load the engine, unless it is loaded.

        Raises:
            EngineError: it cannot be loaded.
        """
        if self.ready is None:
            command = protocol.Load(
                self._process.next_id(), self.prepared.spec.to_json(), self.prepared.directory
            )
            self.ready = await request(self._process, command, protocol.Ready, self._on_step)
        return self.ready

    async def tokenize_prompt(self, prompt: AskedPrompt) -> protocol.Tokenized:
        """Return the token ids of a prompt; raises as `tokenize`."""
        return await self.tokenize("", prompt.messages, prompt.template_arguments)

    async def tokenize(
        self,
        text: str,
        messages: tuple[dict[str, str], ...],
        template_arguments: dict[str, object] | None = None,
    ) -> protocol.Tokenized:
        """Return the token ids of a text or conversation.

        Raises:
            EngineError: the tokenizer cannot convert it.
        """
        folder = self.tokenizer_folder
        arguments = template_arguments or {}
        command = protocol.Tokenize(
            self._process.next_id(), folder, text, messages, template_arguments=arguments
        )
        return await request(self._process, command, protocol.Tokenized)

    async def texts_of(self, token_ids: Iterable[int]) -> dict[int, str]:
        """Return the text of each token id.

        Raises:
            EngineError: the tokenizer fails.
        """
        ids = tuple(sorted(token_ids))
        folder = self.tokenizer_folder
        command = protocol.Tokenize(self._process.next_id(), folder, token_ids=ids)
        found = await request(self._process, command, protocol.Tokenized)
        return dict(zip(ids, found.pieces, strict=True))

    async def tokenize_all(self, texts: Sequence[str]) -> tuple[tuple[int, ...], ...]:
        """Return the token ids of each text.

        Raises:
            EngineError: the tokenizer fails.
        """
        if not texts:
            return ()
        folder = self.tokenizer_folder
        command = protocol.Tokenize(self._process.next_id(), folder, texts=tuple(texts))
        return (await request(self._process, command, protocol.Tokenized)).rows

    async def score(
        self, token_ids: Sequence[int], top_k: int, reference: str = "", keep: str = ""
    ) -> protocol.Scored:
        """Score a text; see `protocol.Score`.

        Raises:
            EngineError: the engine cannot score it.
        """
        await self.load()
        command = protocol.Score(self._process.next_id(), tuple(token_ids), top_k, reference, keep)
        return await request(self._process, command, protocol.Scored)

    async def generate(self, token_ids: Sequence[int], tokens: int) -> protocol.Done:
        """Continue token ids greedily with at most `tokens` tokens.

        Raises:
            EngineError: the engine cannot answer.
        """
        await self.load()
        sampling = protocol.Sampling(max_tokens=tokens)
        command = protocol.Generate(self._process.next_id(), (), tuple(token_ids), sampling)
        return await request(self._process, command, protocol.Done)

    def load_test(
        self,
        users: int,
        requests: int,
        prompts: Sequence[str],
        sampling: protocol.Sampling,
        kv_tokens: int = 0,
    ) -> protocol.LoadTest:
        """Return the command for a load test of this engine, with an id of its worker."""
        return protocol.LoadTest(
            self._process.next_id(), users, requests, tuple(prompts), sampling, kv_tokens
        )

    async def run_load(
        self, command: protocol.LoadTest, on_event: Callable[[protocol.Event], None]
    ) -> protocol.LoadTested:
        """Run a load test; closing it stops it.

        Raises:
            EngineError: the engine runs one request at a time, or failed.
        """
        await self.load()
        return await request(self._process, command, protocol.LoadTested, on_event)

    async def server_token_ids(self, text: str) -> tuple[int, ...]:
        """Return a text as token ids by the server's own tokenizer.

        Raises:
            EngineError: `unsupported`: it does not tokenize; or it cannot be asked.
        """
        await self.load()
        command = protocol.Tokenize(self._process.next_id(), "", text)
        return (await request(self._process, command, protocol.Tokenized)).token_ids

    async def reply(self, messages: tuple[dict[str, str], ...], tokens: int) -> protocol.Done:
        """Answer messages greedily with at most `tokens` tokens.

        Raises:
            EngineError: the engine cannot answer.
        """
        await self.load()
        command = protocol.Generate(
            self._process.next_id(), messages, None, protocol.Sampling(max_tokens=tokens)
        )
        return await request(self._process, command, protocol.Done)

    async def answer(
        self, prompt: Sequence[int] | None, tokens: int, messages: tuple[dict[str, str], ...] = ()
    ) -> Timing:
        """Answer greedily with exactly `tokens` tokens, and return the timing.

        Args:
            prompt: token ids; None for an engine that is asked with `messages`.

        Raises:
            EngineError: the engine cannot answer.
        """
        await self.load()
        started, stamps, counted = 0, list[int](), True

        def take(event: protocol.Event) -> None:
            nonlocal started, counted
            if isinstance(event, protocol.Prompt):
                started = event.t_ns
            elif isinstance(event, protocol.Chunk):
                stamps.extend(event.t_ns)
                counted = counted and event.unit != "pieces"

        sampling = protocol.Sampling(max_tokens=tokens, ignore_eos=True)
        ids = None if prompt is None else tuple(prompt)
        command = protocol.Generate(self._process.next_id(), messages, ids, sampling)
        done = await request(self._process, command, protocol.Done, take)
        length = done.server.tokens if done.server and not counted else None
        return timing(started, stamps, len(prompt or ()), tokens=length)


@asynccontextmanager
async def opened(
    spec: EngineSpec, store: EngineStore, start_worker: StartWorker, log: Path, on_step: OnStep
) -> AsyncIterator[ComparedEngine]:
    """Prepare an engine, building it if need be; its worker ends with the block.

    Raises:
        EngineError: what went wrong and what to do.
    """
    process = await start_worker(spec.backend, log)
    try:
        prepared = await prepare(spec, store, process, on_step)
        if not process.alive:  # a builder that leaves memory behind has ended
            process = await start_worker(spec.backend, log)
        yield ComparedEngine(process, prepared, on_step)
    finally:
        await process.close()
