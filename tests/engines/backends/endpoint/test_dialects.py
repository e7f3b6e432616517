"""Each kind of server is recognised by its answers, asked in its own way, and read completely."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from engines.errors import EngineError
from engines.worker.protocol import KVUsage, Sampling
from tests.doubles.openai_answers import KINDS, TRTLLM_ITERATION
from tests.doubles.openai_server import OpenAIServer
from tests.doubles.openai_streams import IDS, PROMPT_IDS, TEXT, THOUGHT
from tests.engines.backends.endpoint.asking import Heard, ask, connected

FACTS: dict[str, dict[str, Any]] = {
    "vllm": {"kind": "vLLM", "version": "0.24.0", "context": 4096, "token_ids": True},
    "trtllm": {"kind": "TensorRT-LLM", "version": "1.2.1", "context": 0},
    "sglang": {"kind": "SGLang", "version": "0.6.0", "context": 4096, "precision": "fp8"},
    "llama": {"kind": "llama.cpp", "version": "b9999-abc", "context": 2048, "precision": "Q4_1"},
    "ollama": {"kind": "Ollama", "version": "0.30.0", "context": 2048, "precision": "Q4_K_M"},
    "lmstudio": {"kind": "LM Studio", "context": 8192, "precision": "Q4_K_M"},
    "ovms": {"kind": "OpenVINO Model Server", "version": "2026.4", "context": 0, "precision": ""},
    "triton": {"kind": "Triton", "context": 0, "precision": ""},
    "transformers": {"kind": "transformers serve", "context": 0, "precision": ""},
    "plain": {"kind": "OpenAI-compatible server", "context": 0, "precision": ""},
}
COUNTED_WITH_CHUNKS = {"vllm", "trtllm", "sglang", "llama"}
USAGE = {
    "vllm": KVUsage(
        tokens=1600, capacity_tokens=6400, block_tokens=16,
        used_blocks=100, free_blocks=300, total_blocks=400, used_share=0.25,
        running=2, waiting=1, hit_share=0.25,
    ),
    "trtllm": KVUsage(
        tokens=960, capacity_tokens=3200, block_tokens=32, used_blocks=30, free_blocks=70, total_blocks=100,
        used_share=0.3, running=1, waiting=2, hit_share=0.5,
    ),
    "sglang": KVUsage(tokens=640, used_share=0.5, running=1, waiting=0, hit_share=0.75),
    "llama": KVUsage(tokens=100, capacity_tokens=4096, running=1, waiting=3),
    "ovms": KVUsage(running=1),
    "triton": KVUsage(
        tokens=2560, capacity_tokens=6400, block_tokens=64, used_blocks=40, free_blocks=60, total_blocks=100,
        used_share=0.4, running=3, waiting=1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", [*KINDS, "plain"])
def test_a_server_is_recognised_asked_and_read(kind: str) -> None:
    with (
        OpenAIServer(kind, iterations=[TRTLLM_ITERATION]).running() as server,
        connected(server.url) as backend,
    ):
        reported = {name: getattr(backend.facts, name) for name in FACTS[kind]}
        assert reported == FACTS[kind]
        assert backend.facts.models == (server.model,)
        assert backend.facts.address == server.base
        assert backend.kv_usage() == USAGE.get(kind)

        heard = ask(backend)
        assert heard.text == TEXT
        assert heard.thought == ("" if kind == "triton" else "".join(THOUGHT))
        assert heard.end.reason == "stop"
        tokens = 3 if kind == "triton" else 5
        assert (heard.end.server.tokens, heard.end.server.counted_by) == (tokens, "server")
        assert heard.end.server.prompt_tokens == 4
        counted = [one.tokens for one in heard.pieces]
        assert (
            counted == [1 if kind in COUNTED_WITH_CHUNKS else None] * tokens
        )  # rule 8: chunks are not tokens
        assert len(heard.started) == 1
        body = server.chats()[-1]
        assert "logprobs" not in body  # rule 16: they change the speed
        if kind == "vllm":
            assert heard.started[0].prompt_ids == PROMPT_IDS
            assert tuple(one for piece in heard.pieces for one in piece.token_ids) == IDS


def test_transformers_serve_runs_models_that_it_does_not_list() -> None:
    """It lists its hub cache; another model's refusal names the one it was started with."""
    with OpenAIServer("transformers", breakage="lists-another").running() as server:
        with connected(server.url, model="tiny") as backend:
            assert backend.facts.models == ("acme/other",)
            assert ask(backend).text == TEXT
        with connected(server.url) as backend, pytest.raises(EngineError, match="pinned to 'tiny'"):
            ask(backend)


@pytest.mark.parametrize("kind", KINDS)
def test_sampling_is_explicit(kind: str) -> None:
    """Rule 10: the defaults of servers differ, so that greedy is said in full."""
    sampling = Sampling(
        max_tokens=7,
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        min_p=0.1,
        repetition_penalty=1.1,
        seed=3,
        stop=("X",),
    )
    with OpenAIServer(kind).running() as server, connected(server.url) as backend:
        ask(backend)
        greedy = server.chats()[-1]
        ignored = set(ask(backend, sampling=sampling).end.server.ignored_sampling)
        body = server.chats()[-1]
    options, greedy_options = (
        one.get("options", one) | json.loads(one.get("generation_config", "{}")) for one in (body, greedy)
    )
    assert greedy_options["temperature"] == 0
    assert greedy_options["top_p"] == 1
    names = {
        "temperature": ("temperature", 0.5), "top_p": ("top_p", 0.9), "top_k": ("top_k", 40),
        "seed": ("seed", 3), "min_p": ("min_p", 0.1),
        "max_tokens": ("num_predict" if kind == "ollama" else "max_tokens", 7),
        "stop": ("stop", ["X"]),
        "repetition_penalty": (
            "repeat_penalty" if kind in ("llama", "ollama", "lmstudio") else "repetition_penalty", 1.1,
        ),
    }  # fmt: skip
    for field, (name, value) in names.items():
        assert (field in ignored) != (options.get(name) == value), field
    if kind == "ollama":
        assert options["num_ctx"] == 2048  # its OpenAI-compatible API would cut prompts at 4096 silently
    else:
        assert body["stream_options"]["include_usage"] is True


def test_the_figures_of_servers_are_separate() -> None:
    figures = {}
    for kind in ("llama", "ollama", "lmstudio", "vllm"):
        with OpenAIServer(kind).running() as server, connected(server.url) as backend:
            end = ask(backend).end
            figures[kind] = end.server.decode_rate, end.server.prefill_rate, end.server.ttft, end.cached
    assert figures == {
        "llama": (40.0, 200.0, None, 2),
        "ollama": (50.0, 100.0, None, None),
        "lmstudio": (50.0, None, 0.25, 2),
        "vllm": (None, None, None, 2),
    }


def test_the_metrics_of_trtllm_serve_are_read_once() -> None:
    """A call takes the list away; until the next iteration the last figures stay."""
    server = OpenAIServer("trtllm", iterations=[TRTLLM_ITERATION])
    with server.running(), connected(server.url) as backend:
        assert backend._dialect
        assert backend._dialect.usage() == USAGE["trtllm"]
        assert server.iterations == []
        assert backend._dialect.usage() == USAGE["trtllm"]


@pytest.mark.parametrize("kind", ["vllm", "sglang"])
def test_given_tokens_are_scored(kind: str) -> None:
    with OpenAIServer(kind).running() as server, connected(server.url) as backend:
        scores = backend.score((5, 6, 7), 2)
        assert scores.logprobs == [-0.5, -0.5]
        assert scores.top_ids == [[6, 40], [7, 40]]
        assert scores.top_logprobs == [[-0.5, -1.5]] * 2
        assert scores.ranks == [0, 0]
        assert not scores.kl  # only a lower bound can be computed, by whoever has the reference's


@pytest.mark.parametrize("kind", ["vllm", "llama", "ovms", "transformers"])
@pytest.mark.parametrize(
    ("stop", "text"),
    [
        (("and ",), "Keys "),
        (("d va",), "Keys an"),
        (("values", "s and"), "Key"),
        (("values!", "uesX"), TEXT),
        (("K",), ""),
    ],
)
def test_a_stop_string_is_not_part_of_the_answer(kind: str, stop: tuple[str, ...], text: str) -> None:
    """OpenVINO Model Server and transformers serve stream it, the former refuses not to; asked once."""
    with OpenAIServer(kind).running() as server, connected(server.url) as backend:
        heard = ask(backend, sampling=Sampling(max_tokens=64, stop=stop))
        assert heard.text == text
        assert heard.thought == "".join(THOUGHT)
        assert len(server.chats()) == 1


def test_what_could_begin_a_stop_string_is_not_lost_with_an_error() -> None:
    heard, broken = Heard(), OpenAIServer("ovms", breakage="error-after-200")
    with broken.running() as server, connected(server.url) as backend, pytest.raises(EngineError):
        ask(backend, sampling=Sampling(max_tokens=64, stop=(" and so on",)), heard=heard)
    assert heard.text == "Keys "


@pytest.mark.parametrize("kind", ["ollama", "lmstudio", "triton", "trtllm", "ovms", "transformers", "plain"])
def test_scores_are_unavailable_with_the_reason(kind: str) -> None:
    with (
        OpenAIServer(kind).running() as server,
        connected(server.url) as backend,
        pytest.raises(
            EngineError, match="no call that returns the log-probabilities of the most likely"
        ) as raised,
    ):
        backend.score((5, 6, 7), 2)
    assert raised.value.code == "unsupported"


def test_minus_9999_is_a_probability_of_zero() -> None:
    from engines.backends.endpoint.dialects.vllm import prompt_scores

    row = {"6": {"logprob": -9999.0, "rank": 9}, "7": {"logprob": -0.1, "rank": 1}}
    assert prompt_scores([None, row], (5, 6), 2).logprobs == [-math.inf]


def test_the_variables_of_a_known_chat_template() -> None:
    with OpenAIServer("llama").running() as server, connected(server.url) as backend:
        assert backend.template_variables == ("enable_thinking",)
