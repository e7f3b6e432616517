"""Scores the demo checkpoint on wordings that it was never trained on: `python -m engines.demo.evaluate`.

An answer counts as right when it has the content that its question asks for and ends by itself. In chats of
several turns the model goes on from its own answers.
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
"""Tokens within which an answer has to end."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A scored turn and what the model said."""

    turn: Turn
    text: str
    ended: bool

    @property
    def right(self) -> bool:
        """Has the right content and an end."""
        return self.ended and all(re.search(check, self.text, re.IGNORECASE) for check in self.turn.checks)


@dataclass(frozen=True, slots=True)
class CheckpointScore:
    """All scored turns, and the perplexity over the reference answers."""

    answered: tuple[Answered, ...]
    perplexity: float

    @property
    def total(self) -> int:
        """How many turns were scored."""
        return len(self.answered)

    @property
    def right(self) -> int:
        """How many of them are right."""
        return sum(answer.right for answer in self.answered)

    def by_theme(self) -> dict[str, list[int]]:
        """Right answers and all answers of each theme."""
        counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for answer in self.answered:
            counts[answer.turn.theme][0] += answer.right
            counts[answer.turn.theme][1] += 1
        return dict(sorted(counts.items()))

    def table(self) -> str:
        """A Markdown table by theme."""
        rows = [
            f"| {theme.replace('_', ' ')} | {right} | {of} | {right / of:.0%} |"
            for theme, (right, of) in self.by_theme().items()
        ]
        total = f"| **all** | **{self.right}** | **{self.total}** | **{self.right / self.total:.1%}** |"
        return "\n".join(["| theme | right | of | share |", "|---|---:|---:|---:|", *rows, total])


class Speaker:
    """The checkpoint, loaded as anybody would load it."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        self.device = device
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).to(device).eval()

    def answer(self, chats: list[list[dict[str, str]]]) -> list[tuple[str, bool]]:
        """Greedy answers and whether each of them ended by itself."""
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
        """Summed negative log probability of the reference answers, and the number of their tokens."""
        ids, own = ChatEncoder(self.tokenizer.backend_tokenizer).encode(chat)
        inputs = torch.tensor([ids], device=self.device)
        targets = torch.where(torch.tensor([own], device=self.device), inputs, NOT_TRAINED)[:, 1:]
        with torch.inference_mode():
            logits = self.model(input_ids=inputs).logits[:, :-1].float()
        total = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=NOT_TRAINED, reduction="sum"
        )
        return float(total), sum(own)


def _talk(speaker: Speaker, items: tuple[Exchange, ...]) -> list[Answered]:
    """Asks turn after turn, all chats at once."""
    chats: list[list[dict[str, str]]] = [[] for _ in items]
    answered: list[Answered] = []
    for depth in range(max(len(item) for item in items)):
        places = [place for place, item in enumerate(items) if len(item) > depth]
        for place in places:
            chats[place].append({"role": "user", "content": items[place][depth].question})
        for place, (text, ended) in zip(
            places, speaker.answer([chats[place] for place in places]), strict=True
        ):
            chats[place].append({"role": "assistant", "content": text})
            if items[place][depth].checks:
                answered.append(Answered(items[place][depth], text, ended))
    return answered


def score(folder: Path = CHECKPOINT, device: torch.device | None = None, every: int = 1) -> CheckpointScore:
    """Scores every n-th held-out item."""
    speaker = Speaker(folder, device or torch.device("cpu"))
    items = held_out()[::every]
    losses = [speaker.loss(Chat(None, item)) for item in items]
    perplexity = math.exp(sum(loss for loss, _ in losses) / sum(count for _, count in losses))
    return CheckpointScore(tuple(_talk(speaker, items)), perplexity)


def main() -> None:
    """Prints the table and, if asked for, the wrong answers."""
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
        for answer in result.answered:
            if not answer.right:
                print(f"[{answer.turn.theme}] {answer.turn.question}\n    {answer.text}\n")
    print(result.table())
    print(f"perplexity of the reference answers: {result.perplexity:.3f}")


if __name__ == "__main__":
    main()
