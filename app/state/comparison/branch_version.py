"""A branch as another version of the turn from which it was taken."""

from __future__ import annotations

import time
from dataclasses import replace

from app.state.conversation.conversation import Conversation
from app.state.conversation.thought import thought_and_answer
from app.state.conversation.turn import Turn
from engines.compare.answer_run import TOKENS
from engines.compare.comparison import Branch, Continuation
from engines.worker.protocol import Sampling


def keep_branch(conversation: Conversation, turn: Turn, answer: Continuation, branch: Branch) -> Turn | None:
    """Add the branch to the conversation as a version of `turn`; None if no version of it is shown.

    Args:
        answer: the answer that was left at the branch.
    """
    places = range(len(conversation.turns))
    versions = ((place, one) for place in places for one in conversation.versions(place))
    index = next((place for place, one in versions if one is turn), None)
    if index is None:
        return None
    kept = conversation.begin_again(branch.engine, index)
    assert kept
    kept.token_ids = answer.token_ids[: branch.position] + branch.continuation.token_ids
    text = "".join((*answer.pieces[: branch.position], *branch.continuation.pieces)).strip()
    kept.thought, kept.answer = thought_and_answer(text)
    kept.reason = branch.continuation.reason
    kept.prompt_tokens, kept.prompt_digest = turn.prompt_tokens, turn.prompt_digest
    kept.checkpoint, kept.context = turn.checkpoint, turn.context
    kept.system_prompt, kept.left_out = turn.system_prompt, turn.left_out
    kept.sampling = replace(turn.sampling or Sampling(), max_tokens=TOKENS, temperature=0.0)
    kept.asked_at = time.time()
    return kept
