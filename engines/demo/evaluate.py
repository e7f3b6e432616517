"""Score the demo checkpoint on held-out wordings: `python -m engines.demo.evaluate`.

An answer is right if it matches the checks of its question and ends with the end token. In chats of several
turns the model continues from its own answers.
"""

from __future__ import annotations

import argparse
import math
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from engines.demo import CHECKPOINT
from engines.demo.corpus import Chat, Exchange, Turn, held_out
from engines.demo.dataset import NOT_TRAINED, ChatEncoder

BATCH = 48
LIMIT = 448
"""Maximum tokens of an answer."""


@dataclass(frozen=True, slots=True)
class ScoredAnswer:
    """A scored turn and the model's answer."""

    turn: Turn
    text: str
    ended: bool

    @property
    def right(self) -> bool:
        """Whether the answer passes all checks and ended before the limit."""
        return self.ended and all(re.search(check, self.text, re.IGNORECASE) for check in self.turn.checks)


@dataclass(frozen=True, slots=True)
class CheckpointScore:
    """All scored turns, and the perplexity over the reference answers."""

    answers: tuple[ScoredAnswer, ...]
    perplexity: float

    @property
    def total(self) -> int:
        """Number of scored turns."""
        return len(self.answers)

    @property
    def right(self) -> int:
        """Number of right answers."""
        return sum(answer.right for answer in self.answers)

    def by_theme(self) -> dict[str, list[int]]:
        """Return [right, total] of each theme."""
        counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for answer in self.answers:
            counts[answer.turn.theme][0] += answer.right
            counts[answer.turn.theme][1] += 1
        return dict(sorted(counts.items()))

    def table(self) -> str:
        """Return a Markdown table by theme."""
        rows = [
            f"| {theme.replace('_', ' ')} | {right} | {of} | {right / of:.0%} |"
            for theme, (right, of) in self.by_theme().items()
        ]
        total = f"| **all** | **{self.right}** | **{self.total}** | **{self.right / self.total:.1%}** |"
        return "\n".join(["| theme | right | of | share |", "|---|---:|---:|---:|", *rows, total])


class ChatModel:
    """The checkpoint, loaded with transformers' auto classes in fp32."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        self.device = device
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).to(device).eval()

    def answer(self, chats: list[list[dict[str, str]]]) -> list[tuple[str, bool]]:
        """Return the greedy answers to `chats`, and whether each ended before the limit."""
        order = sorted(
            range(len(chats)), key=lambda place: sum(len(message["content"]) for message in chats[place])
        )
        answers: list[tuple[str, bool]] = [("", False)] * len(chats)
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            for place, answer in zip(places, self._batch([chats[place] for place in places]), strict=True):
                answers[place] = answer
        return answers

    def _batch(self, chats: list[list[dict[str, str]]]) -> list[tuple[str, bool]]:
        texts = [
            self.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
            for chat in chats
        ]
        inputs = self.tokenizer(
            texts, add_special_tokens=False, padding=True, padding_side="left", return_tensors="pt"
        )
        ids, mask = inputs["input_ids"].to(self.device), inputs["attention_mask"].to(self.device)
        with torch.inference_mode():
            output = self.model.generate(
                input_ids=ids, attention_mask=mask, max_new_tokens=LIMIT, do_sample=False
            )
        new = output[:, ids.shape[1] :]
        ended = (new == self.tokenizer.eos_token_id).any(dim=1).tolist()
        return list(zip(self.tokenizer.batch_decode(new, skip_special_tokens=True), ended, strict=True))

    def loss(self, chat: Chat) -> tuple[float, int]:
        """Return the summed negative log-probability of the reference answers and their token count."""
        ids, mask = ChatEncoder(self.tokenizer.backend_tokenizer).encode(chat)
        inputs = torch.tensor([ids], device=self.device)
        targets = torch.where(torch.tensor([mask], device=self.device), inputs, NOT_TRAINED)[:, 1:]
        with torch.inference_mode():
            logits = self.model(input_ids=inputs).logits[:, :-1].float()
        total = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=NOT_TRAINED, reduction="sum"
        )
        return float(total), sum(mask)


def _answer_turns(model: ChatModel, items: tuple[Exchange, ...]) -> list[ScoredAnswer]:
    """Answer all chats as one batch, turn by turn."""
    chats: list[list[dict[str, str]]] = [[] for _ in items]
    scored: list[ScoredAnswer] = []
    for depth in range(max(len(item) for item in items)):
        places = [place for place, item in enumerate(items) if len(item) > depth]
        for place in places:
            chats[place].append({"role": "user", "content": items[place][depth].question})
        for place, (text, ended) in zip(
            places, model.answer([chats[place] for place in places]), strict=True
        ):
            chats[place].append({"role": "assistant", "content": text})
            if items[place][depth].checks:
                scored.append(ScoredAnswer(items[place][depth], text, ended))
    return scored


def score(folder: Path = CHECKPOINT, device: torch.device | None = None, every: int = 1) -> CheckpointScore:
    """Return the score on every n-th held-out item."""
    model = ChatModel(folder, device or torch.device("cpu"))
    items = held_out()[::every]
    losses = [model.loss(Chat(None, item)) for item in items]
    perplexity = math.exp(sum(loss for loss, _ in losses) / sum(count for _, count in losses))
    return CheckpointScore(tuple(_answer_turns(model, items)), perplexity)


def main() -> None:
    """Print the table and, with `--wrong`, the wrong answers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=CHECKPOINT)
    parser.add_argument("--every", type=int, default=1, help="score every n-th item only")
    parser.add_argument("--wrong", action="store_true", help="print the wrong answers too")
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    result = score(options.folder, device, options.every)
    if options.wrong:
        for answer in result.answers:
            if not answer.right:
                print(f"[{answer.turn.theme}] {answer.turn.question}\n    {answer.text}\n")
    print(result.table())
    print(f"perplexity of the reference answers: {result.perplexity:.3f}")


if __name__ == "__main__":
    main()
