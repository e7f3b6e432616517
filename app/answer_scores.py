"""How likely an engine finds each token of an answer that it has given."""

from __future__ import annotations

from app.engine_lifecycle import EngineLifecycle
from app.state.comparison.asked_prompts import asked_prompt
from engines.compare.token_scores import ScoredAnswer
from engines.errors import EngineError


async def answer_scores(engine: EngineLifecycle, index: int) -> ScoredAnswer:
    """Return the probabilities of an answer's tokens.

    Args:
        engine: the owner of the side's engine.
        index: place of the turn in the side's conversation.

    Raises:
        EngineError: the answer has no tokens, another engine has computed it, the engine is busy or cannot
            score it.
    """
    side = engine.side
    turn = side.conversation.turns[index]
    if not turn.token_ids:
        raise EngineError("no-tokens", "This turn has no answer whose tokens are known.")
    if turn.engine_digest != side.digest:
        raise EngineError("other-engine", f"{turn.engine} has computed this answer, and is not loaded.")
    return await engine.score(asked_prompt(side.conversation, index, turn))
