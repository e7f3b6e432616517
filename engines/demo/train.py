"""Train the demo checkpoint: `python -m engines.demo.train`, a few minutes on one H200.

The seed determines everything: the corpus, the tokenizer, the initial weights and the order of the rows.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault(
    "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
)  # cuBLAS is deterministic only with a fixed workspace

import numpy as np
import tokenizers
import torch
import transformers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from engines.demo import CHECKPOINT, card, evaluate
from engines.demo.dataset import NOT_TRAINED, SHORT, Rows, build, sample_texts
from engines.demo.tokenizer import CONTEXT, VOCABULARY, chat_tokenizer, train_tokenizer

LOG = Path(__file__).parent / "training.log"


@dataclass(frozen=True)
class TrainingRecipe:
    """The hyperparameters of a training run."""

    seed: int = 7
    steps: int = 10500
    long_rows: int = 61440
    short_rows: int = 491520
    tokens_a_step: int = 65536
    peak_rate: float = 2e-3
    warmup: int = 200
    weight_decay: float = 0.1
    clip: float = 1.0


@dataclass
class TrainingLog:
    """Writes JSON lines to stdout and to a file."""

    path: Path
    start: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self.path.write_text("")

    def write(self, **entry: Any) -> None:
        """Write one line with the seconds since the start."""
        line = json.dumps({"seconds": round(time.perf_counter() - self.start, 1), **entry})
        print(line, flush=True)
        with self.path.open("a") as file:
            file.write(line + "\n")


def model_config() -> LlamaConfig:
    """Return the configuration: Llama with about 7.3 million parameters."""
    return LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=8,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        max_position_embeddings=CONTEXT,
        rms_norm_eps=1e-5,
        rope_theta=10000.0,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=5,
    )


def learning_rate(step: int, recipe: TrainingRecipe) -> float:
    """Return the learning rate: linear warm-up, then cosine decay to 1 % of the peak."""
    if step < recipe.warmup:
        return recipe.peak_rate * (step + 1) / recipe.warmup
    progress = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return recipe.peak_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


@dataclass
class BatchSource:
    """Rows of one width on the device, in a new random order in every epoch."""

    ids: torch.Tensor
    mask: torch.Tensor
    batch: int
    generator: torch.Generator

    @classmethod
    def from_rows(cls, rows: Rows, batch: int, seed: int, device: torch.device) -> BatchSource:
        """Move the rows to the device."""
        ids, mask = (torch.from_numpy(part).to(device) for part in rows)
        return cls(ids, mask, min(batch, len(ids)), torch.Generator().manual_seed(seed))

    def batches(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield inputs and targets without end, each [batch, width - 1]."""
        while True:
            order = torch.randperm(len(self.ids), generator=self.generator).to(self.ids.device)
            for start in range(0, len(order) - self.batch + 1, self.batch):
                chosen = order[start : start + self.batch]
                ids, mask = self.ids[chosen].long(), self.mask[chosen]
                yield ids[:, :-1], torch.where(mask[:, 1:], ids[:, 1:], NOT_TRAINED)


def cross_entropy(hidden: torch.Tensor, head: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the mean loss over the tokens of answers."""
    logits = torch.nn.functional.linear(hidden, head).float()
    return torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=NOT_TRAINED
    )


def optimiser(model: torch.nn.Module, recipe: TrainingRecipe, device: torch.device) -> torch.optim.Optimizer:
    """Return AdamW without weight decay on norms."""
    matrices = [weight for weight in model.parameters() if weight.dim() > 1]
    norms = [weight for weight in model.parameters() if weight.dim() == 1]
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": norms, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.peak_rate, betas=(0.9, 0.95), fused=device.type == "cuda")


def compiled(model: LlamaForCausalLM, device: torch.device) -> Callable[..., torch.Tensor]:
    """Return the loss function; on a GPU compile it and the layers, with one graph for all layers."""
    if device.type != "cuda":
        return cross_entropy
    for layer in model.model.layers:
        layer.compile()
    result: Callable[..., torch.Tensor] = torch.compile(cross_entropy)
    return result


def train(
    model: LlamaForCausalLM,
    sources: list[BatchSource],
    recipe: TrainingRecipe,
    device: torch.device,
    log: TrainingLog,
) -> None:
    """Train the model, with batches from each source in turn."""
    loss_of, optimizer = compiled(model, device), optimiser(model, recipe, device)
    batches = [source.batches() for source in sources]
    seen, since = 0, time.perf_counter()
    losses: dict[int, torch.Tensor] = {}
    for step in range(recipe.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, recipe)
        inputs, targets = next(batches[step % len(batches)])
        with torch.autocast(device.type, torch.bfloat16):
            hidden = model.model(input_ids=inputs, use_cache=False).last_hidden_state
            loss = loss_of(hidden, model.lm_head.weight, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses[step % len(sources)] = loss.detach()
        seen += inputs.numel()
        if step % 100 == 99 or step == recipe.steps - 1:
            values = [round(float(losses[key]), 4) for key in sorted(losses)]
            rate = round(seen / (time.perf_counter() - since))
            log.write(
                step=step + 1,
                loss=values,
                rate=round(learning_rate(step, recipe), 6),
                tokens=seen,
                tokens_a_second=rate,
            )


def save(model: LlamaForCausalLM, tokenizer: tokenizers.Tokenizer, folder: Path) -> None:
    """Write the checkpoint in the Hugging Face layout, in bf16."""
    folder.mkdir(parents=True, exist_ok=True)
    model.generation_config = GenerationConfig(
        do_sample=False, bos_token_id=1, eos_token_id=5, pad_token_id=0, max_new_tokens=512
    )
    model.to(torch.bfloat16).save_pretrained(folder)
    chat_tokenizer(tokenizer).save_pretrained(folder)


def make_deterministic(seed: int) -> None:
    """Seed PyTorch and select deterministic algorithms."""
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.set_float32_matmul_precision("high")


def make_checkpoint(
    recipe: TrainingRecipe, folder: Path, log: TrainingLog, device: torch.device, processes: int
) -> LlamaForCausalLM:
    """Train the tokenizer and the model, save the checkpoint in `folder` and return the model."""
    tokenizer = train_tokenizer(sample_texts(recipe.seed, min(40000, recipe.short_rows)))
    log.write(event="tokenizer", vocabulary=tokenizer.get_vocab_size())
    sources = []
    for kind, rows, width in (("long", recipe.long_rows, CONTEXT), ("short", recipe.short_rows, SHORT)):
        data = build(tokenizer, recipe.seed, kind, rows, processes)
        log.write(event="corpus", kind=kind, rows=len(data[0]), own_share=round(float(np.mean(data[1])), 3))
        sources.append(BatchSource.from_rows(data, recipe.tokens_a_step // width, recipe.seed, device))
    make_deterministic(recipe.seed)
    model = LlamaForCausalLM(model_config()).to(device)
    log.write(event="model", parameters=model.num_parameters())
    train(model, sources, recipe, device, log)
    save(model, tokenizer, folder)
    log.write(event="saved", step=recipe.steps)
    return model


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    defaults = TrainingRecipe()
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--steps", type=int, default=defaults.steps)
    parser.add_argument("--long-rows", type=int, default=defaults.long_rows)
    parser.add_argument("--short-rows", type=int, default=defaults.short_rows)
    parser.add_argument("--tokens-a-step", type=int, default=defaults.tokens_a_step)
    parser.add_argument("--peak-rate", type=float, default=defaults.peak_rate)
    parser.add_argument("--folder", type=Path, default=CHECKPOINT)
    parser.add_argument("--log", type=Path, default=LOG)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


def main() -> None:
    """Train, score and write the model card."""
    options = arguments()
    chosen = {
        name: getattr(options, name)
        for name in ("seed", "steps", "long_rows", "short_rows", "tokens_a_step", "peak_rate")
    }
    recipe, log = TrainingRecipe(**chosen), TrainingLog(options.log)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    hardware = torch.cuda.get_device_name() if device.type == "cuda" else "a CPU"
    versions = {"python": platform.python_version()}
    versions |= {library.__name__: library.__version__ for library in (torch, transformers, tokenizers)}
    log.write(event="start", recipe=vars(recipe), hardware=hardware, versions=versions)
    make_checkpoint(recipe, options.folder, log, device, options.processes)
    minutes = (time.perf_counter() - log.start) / 60
    score = evaluate.score(options.folder, device)
    log.write(
        event="score",
        right=score.right,
        of=score.total,
        perplexity=round(score.perplexity, 3),
        themes=score.by_theme(),
    )
    print(score.table())
    facts = card.TrainingFacts(
        hardware=hardware,
        minutes=minutes,
        versions=versions,
        steps=recipe.steps,
        tokens=recipe.steps * recipe.tokens_a_step,
    )
    (options.folder / "README.md").write_text(card.render_card(facts, score), encoding="utf-8")


if __name__ == "__main__":
    main()
