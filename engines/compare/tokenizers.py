"""Whether two engines have the same tokenizer, so that one can score the other's token ids."""

from __future__ import annotations

from collections.abc import Sequence

from engines.compare.engine import ComparedEngine
from engines.errors import EngineError

SAMPLE = "Naïve tests: 3 + 4 = 7, then\n    print('tokenizers differ')."
"""Accents, numbers, spaces and quotes, which tokenizers cut in different ways."""


async def use_tokenizer(engine: ComparedEngine, folder: str) -> None:
    """Have an engine of another file of the model use the reference's tokenizer, if both agree.

    Args:
        folder: the reference's checkpoint.

    Raises:
        EngineError: `other-tokenizer`.
    """
    if engine.tokenizer_folder == folder:
        return
    own = (await engine.tokenize(SAMPLE, ())).token_ids
    engine.tokenizer_folder = folder
    refuse_other_tokenizer(own, (await engine.tokenize(SAMPLE, ())).token_ids)


def refuse_other_tokenizer(own: Sequence[int], reference: Sequence[int]) -> None:
    """Compare the token ids of SAMPLE by an engine's tokenizer and by the reference's.

    Raises:
        EngineError: `other-tokenizer`.
    """
    length = min(len(own), len(reference))  # one of both may begin with a special token
    if not length or abs(len(own) - len(reference)) > 1 or own[-length:] != reference[-length:]:
        raise EngineError(
            "other-tokenizer",
            "Its tokenizer gives other token ids than the reference's: it runs another checkpoint.",
            "Compare its answers in the chat instead.",
        )
