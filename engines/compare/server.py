"""What is different for an engine on a server: it is scored with the reference's token ids."""

from __future__ import annotations

from engines.build.server import is_remote, no_scores
from engines.build.spec import EngineSpec
from engines.compare.engine import ComparedEngine
from engines.compare.tokenizers import SAMPLE, refuse_other_tokenizer
from engines.errors import EngineError
from engines.worker.values import TOKEN_BY_TOKEN


def refuse_as_reference(spec: EngineSpec) -> None:
    """Refuse an engine on a server as the reference.

    Raises:
        EngineError: `unsupported`.
    """
    if is_remote(spec):
        raise EngineError(
            "unsupported",
            "A server cannot be the reference: it does not return the whole vocabulary.",
            "Choose an engine on this machine as the reference.",
        )


async def check_server(engine: ComparedEngine, folder: str) -> None:
    """Give an engine on a server the reference's tokenizer, and check that the server's agrees.

    A server that does not tokenize is not checked.

    Args:
        folder: the reference's checkpoint.

    Raises:
        EngineError: `unsupported`: it does not score given texts; `other-tokenizer`.
    """
    server = (await engine.load()).server
    engine.tokenizer_folder = folder
    if server is not None and not server.prompt_scores:
        raise no_scores(server)
    try:
        theirs = await engine.server_token_ids(SAMPLE)
    except EngineError as error:
        if error.code == "unsupported":
            return
        raise
    ours = (await engine.tokenize(SAMPLE, ())).token_ids
    refuse_other_tokenizer(theirs, ours)


async def answers_questions(engine: ComparedEngine) -> bool:
    """Return whether an engine is asked the questions with options; one that scores token by token is not."""
    server = (await engine.load()).server
    return server is None or server.prompt_scores != TOKEN_BY_TOKEN
