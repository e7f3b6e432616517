"""The demo checkpoint loads like any other, answers on its topics, and is scored on held-out wordings."""

from __future__ import annotations

import json
import random
import re

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from engines.demo import CHECKPOINT
from engines.demo.corpus import ChatWriter, held_out, held_out_wordings, load_topics, normalise
from engines.demo.dataset import ChatEncoder
from engines.demo.evaluate import ChatModel

MEGABYTE = 1_000_000
FILES = (
    "README.md",
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
)


@pytest.fixture(scope="module")
def model() -> ChatModel:
    """The checkpoint in fp32 on the CPU."""
    return ChatModel(CHECKPOINT, torch.device("cpu"))


def writer(seed: int) -> ChatWriter:
    """Return a generator of training chats."""
    return ChatWriter(random.Random(seed), held_out_wordings())


def test_files_are_present_and_small() -> None:
    assert sorted(path.name for path in CHECKPOINT.iterdir()) == sorted(FILES)
    assert sum(path.stat().st_size for path in CHECKPOINT.iterdir()) <= 16 * MEGABYTE


def test_the_card_calls_the_model_a_toy_and_has_its_score() -> None:
    card = (CHECKPOINT / "README.md").read_text(encoding="utf-8")
    assert "This is a toy" in card
    assert re.search(r"are right: \d+\.\d%.*perplexity .* is \d", card, re.DOTALL)


def test_score_in_the_card_is_at_least_85_percent() -> None:
    card = (CHECKPOINT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"(\d+) of (\d+) are right", card)
    assert found is not None
    right, total = (int(group) for group in found.groups())
    assert total == sum(bool(turn.checks) for item in held_out() for turn in item)
    assert right / total >= 0.85


def test_shape_of_the_model() -> None:
    config = AutoConfig.from_pretrained(CHECKPOINT)
    model = AutoModelForCausalLM.from_pretrained(CHECKPOINT)
    assert config.model_type == "llama"
    assert (config.max_position_embeddings, config.vocab_size, config.tie_word_embeddings) == (
        2048,
        4096,
        True,
    )
    assert 6_500_000 < model.num_parameters() < 7_500_000
    assert model.dtype == torch.bfloat16
    assert model.generation_config.eos_token_id == 5
    assert not model.generation_config.do_sample


def test_no_remote_code() -> None:
    for name in ("config.json", "tokenizer_config.json"):
        assert "auto_map" not in json.loads((CHECKPOINT / name).read_text(encoding="utf-8"))


def test_special_tokens_have_their_roles(model: ChatModel) -> None:
    tokenizer = model.tokenizer
    marks = ["<|pad|>", "<|begin|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
    assert tokenizer.convert_tokens_to_ids(marks) == list(range(6))
    assert (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id) == (0, 1, 5)
    assert tokenizer.decode(tokenizer("Grüße, 日本 — 42!")["input_ids"]) == "Grüße, 日本 — 42!"


def test_the_chat_template_renders_as_in_training(model: ChatModel) -> None:
    encoder, chats = ChatEncoder(model.tokenizer.backend_tokenizer), writer(5)
    for _ in range(100):
        chat = chats.chat(3)
        rendered = model.tokenizer.apply_chat_template(chat.messages(), tokenize=True, return_dict=False)
        assert rendered == encoder.encode(chat)[0]


def test_every_turn_is_a_prefix_of_the_next(model: ChatModel) -> None:
    tokenizer, chats = model.tokenizer, writer(6)
    for _ in range(50):
        messages = chats.chat(4).messages()
        whole = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False)
        for place, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            prompt = tokenizer.apply_chat_template(
                messages[:place], tokenize=True, add_generation_prompt=True, return_dict=False
            )
            answer = tokenizer.encode(message["content"], add_special_tokens=False)
            turn = [*prompt, *answer, tokenizer.eos_token_id]
            assert whole[: len(turn)] == turn


def test_unknown_roles_are_refused(model: ChatModel) -> None:
    with pytest.raises(Exception, match="roles are system, user and assistant"):
        model.tokenizer.apply_chat_template([{"role": "tool", "content": "x"}], tokenize=False)


def test_the_corpus_is_determined_by_the_seed() -> None:
    assert writer(1).long_chat(4000) == writer(1).long_chat(4000)
    assert writer(1).long_chat(4000) != writer(2).long_chat(4000)


def test_held_out_wordings_are_never_trained() -> None:
    chats, banned = writer(3), held_out_wordings()
    asked = {normalise(turn.question) for _ in range(3000) for turn in chats.chat(3).turns}
    assert not asked & banned
    written = {normalise(question) for topic in load_topics() for question in topic.ask + topic.more_ask}
    assert not written & banned


def test_reference_answers_pass_their_own_checks() -> None:
    turns = [turn for item in held_out() for turn in item if turn.checks]
    assert len(turns) >= 200
    for turn in turns:
        for check in turn.checks:
            assert re.search(check, turn.answer, re.IGNORECASE), (turn.question, check)


def test_every_answer_of_a_topic_passes_its_check() -> None:
    for topic in load_topics():
        for answer in topic.answers:
            for check in topic.check:
                assert re.search(check, answer, re.IGNORECASE), (topic.key, check, answer)


def test_reference_tokenizer_loads_without_the_project() -> None:
    tokenizer = AutoTokenizer.from_pretrained(CHECKPOINT)
    assert "<|assistant|>" in tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    )


QUESTIONS = {
    "What is TTFT?": "first token",
    "What is a KV cache?": "keys and",
    "What is quantisation?": "fewer bits",
    "Why is decoding memory bound?": "weights",
    "How do I stop an answer?": "Esc",
    "Who are you?": "demo",
    "What is 17 + 25?": "42",
    "Hello": "Hello|Hi",
    "Who won the World Cup?": "do not know|beyond me|too small",
    "Name three colours.": "red",
}


def test_it_answers_on_its_topics_and_ends(model: ChatModel) -> None:
    answers = model.answer([[{"role": "user", "content": question}] for question in QUESTIONS])
    for (question, pattern), (text, ended) in zip(QUESTIONS.items(), answers, strict=True):
        assert ended, question
        assert re.search(pattern, text), (question, text)


def test_it_remembers_a_name_over_ten_turns(model: ChatModel) -> None:
    messages: list[dict[str, str]] = []
    questions = ["My name is Anna.", "What is int8?", "Why?", "Give me an example.", "What is 3 plus 4?"]
    questions += [
        "Tell me a story about a fox.",
        "Tell me a joke.",
        "What is prefill?",
        "Shorter please.",
        "What is my name?",
    ]
    for question in questions:
        messages.append({"role": "user", "content": question})
        text, ended = model.answer([messages])[0]
        assert ended, question
        messages.append({"role": "assistant", "content": text})
    assert "Anna" in messages[-1]["content"]
    assert "7" in messages[9]["content"]
    assert messages[11]["content"].count("fox") >= 3
    assert len(messages[11]["content"].split()) >= 120
