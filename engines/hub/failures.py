"""Map what huggingface_hub raises to errors for the user.

Standard library and huggingface_hub only, Python 3.10 and newer: workers in other environments use it too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from engines.errors import EngineError, first_line

NETWORK_HINT = "Check the network, or choose the demo checkpoint or a folder on this disk."


@contextmanager
def explained(hub_id: str = "", revision: str | None = None) -> Iterator[None]:
    """Raise the EngineError for an error of huggingface_hub in the body; other errors pass unchanged.

    Args:
        hub_id: the model that the body asks for; empty for a search.

    Raises:
        EngineError: `gated`, `unknown-checkpoint`, `no-network` or `hub-error`.
    """
    try:
        yield
    except EngineError:
        raise
    except Exception as error:
        if (found := engine_error(error, hub_id, revision)) is None:
            raise
        raise found from error


def engine_error(error: BaseException, hub_id: str, revision: str | None = None) -> EngineError | None:
    """Return the EngineError for an error of huggingface_hub or its HTTP library; None for any other."""
    from huggingface_hub import errors

    # The library wraps each failed request of a download in LocalEntryNotFoundError.
    if isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__ is not None:
        return engine_error(error.__cause__, hub_id, revision) or no_network(hub_id)
    if isinstance(error, errors.GatedRepoError):
        return gated(hub_id)
    unknown = (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.HFValidationError)
    if isinstance(error, unknown):
        return unknown_checkpoint(hub_id, revision)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return no_network(hub_id, "HF_HUB_OFFLINE is set: unset it to use the network.")
    if isinstance(error, errors.LocalEntryNotFoundError):
        return no_network(hub_id)
    if isinstance(error, errors.HfHubHTTPError):
        return hub_error(first_line(error))
    # An interrupted download raises an error of the HTTP library, which huggingface_hub has changed twice.
    if type(error).__module__.startswith(("http", "requests", "urllib3")):
        return no_network(hub_id)
    return None


def gated(hub_id: str) -> EngineError:
    """Return the error for a model whose terms were not accepted."""
    return EngineError(
        "gated",
        f"{hub_id} is gated: its authors require you to accept their terms first.",
        f"Accept them on huggingface.co/{hub_id}, then run `hf auth login`.",
    )


def unknown_checkpoint(hub_id: str, revision: str | None = None) -> EngineError:
    """Return the error for a model that the hub does not have, or does not show."""
    return EngineError(
        "unknown-checkpoint",
        f"The hub has no checkpoint {hub_id!r}" + (f" at {revision!r}." if revision else "."),
        "Check the spelling (org/name); private checkpoints need `hf auth login`.",
    )


def no_network(hub_id: str = "", hint: str = NETWORK_HINT) -> EngineError:
    """Return the error for a hub that cannot be reached."""
    where = f"{hub_id} is neither a folder nor in the hub cache, and the hub" if hub_id else "The hub"
    return EngineError("no-network", f"{where} cannot be reached.", hint)


def hub_error(why: str) -> EngineError:
    """Return the error for a hub that answers, but not what was asked for."""
    return EngineError(
        "hub-error",
        f"The hub's answer cannot be used: {why.rstrip('.')}.",
        "Try again later. A proxy or a login page of the network may have answered instead of the hub.",
    )
