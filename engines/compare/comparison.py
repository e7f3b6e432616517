"""The result of a comparison, as it is saved, shown and exported."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from engines.measure.quality import QualityCard, wilson_interval

FILE = "comparison.json"
"""Its name in a report."""
FORMAT = 1
METHOD = (
    "All engines were given the same token ids (teacher forcing). KLD is the Kullback-Leibler divergence "
    "KL(reference || engine) of the next-token distributions over the whole vocabulary, in nats, as "
    "llama.cpp's llama-perplexity defines it; `≥` marks a lower bound from the most likely tokens only. "
    "PPL ratio is the ratio of perplexities, with its standard error. Same top is the share of positions "
    "with the same most likely token, with Wilson's 95 % interval. Speed is the decode rate of greedy "
    "answers, median and range. Engines score with the KV cache's precision that their answers use. "
    "Accuracy is that of questions with four options: the option with the largest sum of its tokens' "
    "log-probabilities after the question is the answer, with Wilson's 95 % interval. Flips are the "
    "questions with another answer than the reference's (arXiv 2407.09141). The noise floor is the largest "
    "mean KLD of the engines that store the checkpoint's weights exactly, so that only their arithmetic "
    "differs; engines with exact weights that are 0.01 nats away or more are left out of it, because "
    "rounding does not explain them. A reference that is dequantised from a GGUF file has that file's "
    "weights: what llama.cpp differs from it is arithmetic, not what was lost when the file was made."
)


@dataclass(frozen=True)
class ScoredTextInfo:
    """A text that was scored."""

    name: str
    tokens: int
    digest: str
    """SHA-256 of its token ids."""


@dataclass(frozen=True)
class Speed:
    """Decode speed of a few greedy answers to one short prompt."""

    rates: tuple[float, ...]
    """Tokens per second, one for each answer."""
    ttft: float
    """Median time to first token, in seconds."""
    busy_percent: float
    """What other programs used of the processor just before, 100 for all cores."""


@dataclass(frozen=True)
class ChoiceResult:
    """What an engine answered to the questions with options."""

    chosen: tuple[int, ...]
    """Index of the most likely option of each question."""
    correct: int
    flips: int = 0
    """Questions with another answer than the reference's."""

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return self.correct / len(self.chosen)

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """95 % confidence interval of `accuracy`, Wilson's."""
        return wilson_interval(self.correct, len(self.chosen))

    @property
    def flip_share(self) -> float:
        """Flips as a share of the questions."""
        return self.flips / len(self.chosen)


@dataclass(frozen=True)
class Alternative:
    """One of the most likely tokens at a position."""

    text: str
    probability: float
    token_id: int = -1
    """-1 in comparisons of older releases."""


@dataclass(frozen=True)
class Position:
    """A token of the text and what both engines expected in its place."""

    text: str
    kl: float
    reference: tuple[Alternative, ...] = ()
    engine: tuple[Alternative, ...] = ()


@dataclass(frozen=True)
class Passage:
    """Consecutive tokens around one at which an engine differs most from the reference."""

    text_name: str
    start: int
    """Index of its first position in the text."""
    positions: tuple[Position, ...]


@dataclass(frozen=True)
class Row:
    """One engine, compared with the reference."""

    title: str
    backend: str
    precision: str
    kv_precision: str
    digest: str
    """Fingerprint of the engine; for engines that are not built, of what they are loaded from."""
    weight_bytes: int = 0
    bits_per_weight: float = 0.0
    memory_bytes: int = 0
    """Weights, KV cache and the rest, as the engine reports them."""
    quality: QualityCard | None = None
    speed: Speed | None = None
    passages: tuple[Passage, ...] = ()
    seconds: float = 0.0
    """What opening, scoring and timing took."""
    error: str = ""
    """Why it could not be compared."""
    choices: ChoiceResult | None = None
    """None if it was not asked the questions."""
    inputs: dict[str, str] = field(default_factory=dict)
    """What the engine is made from, and the versions: named, so that a later change can be named."""


@dataclass(frozen=True)
class TokenScore:
    """What an engine expected in place of a token."""

    probability: float
    """Of the token that is there."""
    alternatives: tuple[Alternative, ...]
    """The most likely tokens, best first."""
    kl: float = 0.0
    """KL(reference || engine) in nats; 0 for the reference itself."""


@dataclass(frozen=True)
class Continuation:
    """What an engine generated after a prompt, greedily."""

    token_ids: tuple[int, ...] = ()
    pieces: tuple[str, ...] = ()
    """The text of each token."""
    reason: str = ""
    """Why it ended: one of `engines.worker.protocol.FINISH_REASONS`."""


@dataclass(frozen=True)
class EngineAnswer:
    """An engine on the reference's answer, and its own answer to the same prompt."""

    row: Row
    """With the quality over the answer's tokens alone."""
    scores: tuple[TokenScore, ...] = ()
    """One for each token of the reference's answer."""
    own: Continuation = Continuation()


@dataclass(frozen=True)
class Branch:
    """An answer that continues from another token of the reference's answer."""

    engine: str
    """Title of the engine that continued."""
    position: int
    """Index of the token that was replaced."""
    continuation: Continuation
    """The replacing token and what follows it."""


@dataclass(frozen=True)
class ComparedAnswer:
    """One answer of the reference, read by every engine (teacher forcing)."""

    prompt: str
    prompt_digest: str
    """SHA-256 of the prompt's token ids."""
    answer: Continuation
    """The reference's answer, which the figures of all engines are about."""
    reference: EngineAnswer
    engines: tuple[EngineAnswer, ...] = ()
    branches: tuple[Branch, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """Engines of one checkpoint over the same texts."""

    checkpoint: str
    reference: Row
    rows: tuple[Row, ...]
    texts: tuple[ScoredTextInfo, ...]
    machine: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    made_at: float = 0.0
    """Seconds since 1970."""
    method: str = METHOD
    format: int = FORMAT
    answers: tuple[ComparedAnswer, ...] = ()
    """Answers that were compared token by token."""
    dtype: str = ""
    """Type of the checkpoint's weights; empty if it is quantised, or unknown."""
    noise_floor: float | None = None
    """Mean KLD, in nats, up to which an engine is not distinguishable from the reference; None if unknown."""

    def is_noise(self, row: Row) -> bool:
        """Return whether a row's mean KLD is not above the noise floor; a lower bound does not say so."""
        card = row.quality
        return bool(self.noise_floor and card and not card.at_least and card.mean_kld <= self.noise_floor)


class ComparisonError(ValueError):
    """A file does not hold a comparison that this release can read."""


def save_comparison(comparison: Comparison, file: Path) -> None:
    """Write it as JSON.

    Raises:
        OSError: the file cannot be written.
    """
    file.write_bytes(msgspec.json.format(msgspec.json.encode(comparison), indent=1))


def load_comparison(file: Path) -> Comparison:
    """Return a saved comparison: a file, or `comparison.json` in the folder of a report.

    Raises:
        ComparisonError: it cannot be read, or is of another release; the message names the reason.
    """
    file = file / FILE if file.is_dir() else file
    try:
        found = msgspec.json.decode(file.read_bytes(), type=Comparison)
    except OSError as error:
        raise ComparisonError(f"{file} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise ComparisonError(f"{file} does not hold a comparison: {error}.") from error
    if found.format != FORMAT:
        raise ComparisonError(f"{file} has format {found.format}; this release reads {FORMAT}.")
    return found
