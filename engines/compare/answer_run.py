"""Compare engines token by token on one answer of the reference, one engine after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from math import log
from pathlib import Path

from engines.build.prepare import StartWorker, Step
from engines.build.server import is_remote
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.compare.asked_prompt import AskedPrompt
from engines.compare.cache import SCORE_FORMAT, ComparisonCache, digest
from engines.compare.comparison import (
    Alternative,
    Branch,
    ComparedAnswer,
    Continuation,
    EngineAnswer,
    Row,
)
from engines.compare.engine import ComparedEngine, opened
from engines.compare.rows import described, finished, title, unmeasured
from engines.compare.server import check_server, refuse_as_reference
from engines.compare.speed import measure_speed
from engines.compare.token_scores import TOP, ids_of, of_answer, token_scores
from engines.compare.tokenizers import use_tokenizer
from engines.errors import EngineError, error_text
from engines.measure.quality import position_divergences
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.worker import protocol
from engines.worker.context_window import prompt_digest
from engines.worker.error_mapping import to_error_event

TOKENS = 256
"""Longest answer that is generated for a comparison."""
SMALLEST = 1e-300
"""Probabilities below are taken as this one: a logarithm has no 0."""

OnProgress = Callable[[str, str], None]
"""Called with the title of the engine and the step, such as `scoring`."""


class AnswerRun:
    """Compares engines on one answer. What was computed before is read from disk, without a worker."""

    def __init__(
        self,
        prompt: AskedPrompt,
        reference: EngineSpec,
        store: EngineStore,
        cache: ComparisonCache,
        start_worker: StartWorker,
        log: Path,
        on_progress: OnProgress = lambda _, __: None,
    ) -> None:
        """Create it.

        Args:
            on_progress: called at each step.
        """
        self._prompt = prompt
        self._reference = reference
        self._cache = cache
        self._opened = partial(opened, store=store, start_worker=start_worker, log=log)
        self._on_progress = on_progress

    async def reference(self, *, again: bool = False) -> ComparedAnswer:
        """Return the reference's answer and what the reference expects at each of its tokens.

        Args:
            again: compute it also where it is kept.

        Raises:
            EngineError: the reference cannot be opened, asked or scored.
            OSError: the disk is full, or the cache cannot be written.
        """
        refuse_as_reference(self._reference)
        prompt = self._prompt
        key = await asyncio.to_thread(self._reference_key)
        if not again and (kept := await asyncio.to_thread(self._kept_reference, key)):
            return kept
        async with self._open(self._reference) as engine:
            tokens = await engine.tokenize_prompt(prompt)
            prompt.check(tokens.token_ids)
            ids, reason = await self._answer(engine, tokens.token_ids)
            file = self._rows_file(prompt_digest(tokens.token_ids), ids)
            self._on_progress(title(self._reference), "scoring")
            scored = await engine.score((*tokens.token_ids, *ids), TOP, keep=str(file))
            scored = of_answer(scored, len(ids))
            row = await self._described(engine)
            texts = await engine.texts_of(ids_of(ids, scored))
        answer = _continuation(ids, texts, reason)
        own = EngineAnswer(row, token_scores(scored, [0.0] * len(ids), texts), answer)
        found = ComparedAnswer(prompt.title, prompt_digest(tokens.token_ids), answer, own)
        await asyncio.to_thread(self._cache.keep, "answers", key, found)
        await asyncio.to_thread(self._cache.prune, file)
        return found

    async def engine(self, spec: EngineSpec, answer: ComparedAnswer, *, again: bool = False) -> EngineAnswer:
        """Return an engine's figures on the answer, and its own answer. One that fails has an error instead.

        Raises:
            OSError: the disk is full, or the cache cannot be written.
        """
        key = await asyncio.to_thread(self._engine_key, spec, answer)
        kept = await asyncio.to_thread(self._cache.load, "answers", key, EngineAnswer) if key else None
        if kept and not again:
            return kept
        try:
            found = await self._compare(spec, answer)
        except (EngineError, ValueError) as error:  # ValueError: scores that cannot be compared
            return EngineAnswer(unmeasured(spec, error_text(to_error_event(0, error))))
        if key:
            await asyncio.to_thread(self._cache.keep, "answers", key, found)
        return found

    def kept(self, specs: Iterable[EngineSpec]) -> ComparedAnswer | None:
        """Read what is kept of the answer: the reference, and the engines up to the first one without.

        Raises:
            EngineError: the checkpoint cannot be read.
        """
        answer = None if is_remote(self._reference) else self._kept_reference(self._reference_key())
        if answer is None:
            return None
        engines: list[EngineAnswer] = []
        for spec in specs:
            key = self._engine_key(spec, answer)
            found = self._cache.load("answers", key, EngineAnswer) if key else None
            if found is None:
                break
            engines.append(found)
        return replace(answer, engines=tuple(engines))

    def _kept_reference(self, key: str) -> ComparedAnswer | None:
        kept = self._cache.load("answers", key, ComparedAnswer)
        if kept and self._rows_file(kept.prompt_digest, kept.answer.token_ids).exists():
            return kept
        return None

    def _reference_key(self) -> str:
        prompt = self._prompt
        arguments = (prompt.template_arguments,) if prompt.template_arguments else ()
        return _key(self._reference, prompt.messages, prompt.answer_ids, *arguments)

    def _engine_key(self, spec: EngineSpec, answer: ComparedAnswer) -> str:
        """Return the name of a kept result; empty for a server: what it runs may change under one name."""
        if is_remote(spec):
            return ""
        return _key(spec, self._reference.to_json(), answer.prompt_digest, answer.answer.token_ids)

    async def branch(
        self, spec: EngineSpec, answer: ComparedAnswer, position: int, token: Alternative
    ) -> Branch:
        """Let an engine continue from another token of the answer.

        Args:
            position: index of the token that is replaced.

        Raises:
            EngineError: the engine cannot be opened or asked.
        """
        if is_remote(spec):
            raise EngineError(
                "unsupported",
                "A server answers conversations: it cannot continue from another token.",
                "Branch with an engine on this machine.",
            )
        async with self._open(spec) as engine:
            tokens = await engine.tokenize_prompt(self._prompt)
            start = (*answer.answer.token_ids[:position], token.token_id)
            self._on_progress(title(spec), f"continuing from token {position + 1}")
            done = await engine.generate((*tokens.token_ids, *start), TOKENS)
            ids = (token.token_id, *done.token_ids)
            texts = await engine.texts_of(ids)
        return Branch(title(spec), position, _continuation(ids, texts, done.reason))

    def _open(self, spec: EngineSpec) -> AbstractAsyncContextManager[ComparedEngine]:
        def take(step: Step) -> None:
            if isinstance(step, protocol.Stage):
                self._on_progress(title(spec), step.name)

        self._on_progress(title(spec), "starting")
        return self._opened(spec, on_step=take)

    async def _answer(self, engine: ComparedEngine, prompt: Sequence[int]) -> tuple[tuple[int, ...], str]:
        """Return the answer that is compared, and why it ended; it is cut where the context window ends."""
        space = self._reference.context - len(prompt)
        ids, reason = self._prompt.answer_ids, ""
        if not ids:
            self._on_progress(title(self._reference), "answering")
            done = await engine.generate(prompt, max(1, min(TOKENS, space)))
            ids, reason = done.token_ids, done.reason
        ids = ids[: max(0, space)]
        if not ids:
            raise EngineError("no-answer", "The answer has no tokens.", "Choose another prompt.")
        return ids, reason

    async def _compare(self, spec: EngineSpec, answer: ComparedAnswer) -> EngineAnswer:
        async with self._open(spec) as engine:
            if engine.is_remote:
                await check_server(engine, self._reference.checkpoint)
            else:
                await use_tokenizer(engine, self._reference.checkpoint)
            prompt = (await engine.tokenize_prompt(self._prompt)).token_ids
            if prompt_digest(prompt) != answer.prompt_digest:
                raise EngineError(
                    "other-prompt", "Its chat template or tokenizer gives other token ids for this prompt."
                )
            self._on_progress(title(spec), "scoring")
            ids = (*prompt, *answer.answer.token_ids)
            rows = self._rows_file(answer.prompt_digest, answer.answer.token_ids)
            scored = await engine.score(ids, TOP, reference=str(rows))
            scored = of_answer(scored, len(answer.answer.token_ids))
            self._on_progress(title(spec), "answering")
            most = max(1, min(TOKENS, spec.context - len(prompt)))
            done = await (
                engine.reply(self._prompt.messages, most)
                if engine.is_remote
                else engine.generate(prompt, most)
            )
            row = await self._described(engine)
            texts = await engine.texts_of(ids_of(done.token_ids, scored))
        base = _scored(answer.reference)
        scores = token_scores(scored, position_divergences(base, scored), texts)
        own = _continuation(done.token_ids, texts, done.reason)
        if done.text and not done.token_ids:  # a server without token ids: the text in one piece
            own = Continuation((), (done.text,), done.reason)
        return EngineAnswer(finished(row, [base], [scored], []), scores, own)

    async def _described(self, engine: ComparedEngine) -> Row:
        self._on_progress(title(engine.prepared.spec), "timing")
        return await described(engine, await measure_speed(engine))

    def _rows_file(self, prompt: str, token_ids: Sequence[int]) -> Path:
        """Return the file for the reference's log-probabilities after the prompt with this digest."""
        return self._cache.rows_file(f"{digest(self._reference.to_json())} {prompt}", token_ids)


def _key(spec: EngineSpec, *parts: object) -> str:
    """Return the name of a kept result: from the spec, the checkpoint's content, and what was asked."""
    identity = read_checkpoint(Path(spec.checkpoint)).identity
    return digest(SCORE_FORMAT, spec.to_json(), identity, *parts)


def _scored(reference: EngineAnswer) -> protocol.Scored:
    """Return the reference's kept scores in the form in which they were computed."""
    rows = [score.alternatives for score in reference.scores]
    return protocol.Scored(
        0,
        tuple(log(max(score.probability, SMALLEST)) for score in reference.scores),
        tuple(tuple(one.token_id for one in row) for row in rows),
        tuple(tuple(log(max(one.probability, SMALLEST)) for one in row) for row in rows),
    )


def _continuation(token_ids: tuple[int, ...], texts: Mapping[int, str], reason: str) -> Continuation:
    return Continuation(token_ids, tuple(texts[token] for token in token_ids), reason)
