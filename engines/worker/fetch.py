"""Bringing a checkpoint of the Hugging Face hub onto this disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.errors import EngineError
from engines.plan.checkpoint.loadable import CONFIGURATIONS, refuse_unloadable, refuse_without_weights

if TYPE_CHECKING:
    from engines.backends.base import Report

WANTED = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model", "README.md", "LICENSE*"]
"""Weights as safetensors only: pickled ones could run code."""
UNWANTED = ["*/*", "consolidated*"]
"""Other formats in folders of their own, and Mistral's second copy of all the weights."""
ANSWER_SECONDS = 8.0
"""How long the hub may take to answer a first, small question."""
DOWNLOADED = "Reconstructing"
"""How the hub's library begins the description of the one bar that counts bytes on this disk."""


def fetch(checkpoint: str, revision: str | None, report: Report, backend: str) -> Path:
    """Download what is missing of `org/name` into the hub cache and return the snapshot's folder.

    Its configuration comes first: what `backend` cannot load is refused before any weight is fetched.

    Raises:
        EngineError: unknown id, gated, no network, no space, or nothing that `backend` loads.
    """
    import huggingface_hub
    from huggingface_hub import errors

    try:
        # The download itself asks without any limit of time: a network that swallows packets would keep it
        # waiting for ever.
        found = huggingface_hub.HfApi().model_info(checkpoint, revision=revision, timeout=ANSWER_SECONDS)
        refuse_without_weights(checkpoint, [file.rfilename for file in found.siblings or ()])
        described = huggingface_hub.snapshot_download(
            checkpoint, revision=revision, allow_patterns=CONFIGURATIONS
        )
        refuse_unloadable(backend, Path(described))
        folder = huggingface_hub.snapshot_download(
            checkpoint,
            revision=revision,
            allow_patterns=WANTED,
            ignore_patterns=UNWANTED,
            tqdm_class=_progress_bar(report),
        )
    except errors.GatedRepoError as error:
        raise EngineError(
            "gated",
            f"{checkpoint} is gated: its authors want you to accept their terms first.",
            f"Accept them on huggingface.co/{checkpoint}, then run `hf auth login`.",
        ) from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.HFValidationError) as error:
        raise _unknown(checkpoint, revision) from error
    except Exception as error:
        raise _as_engine_error(error, checkpoint, revision) from error
    return Path(folder)


def _as_engine_error(error: Exception, checkpoint: str, revision: str | None) -> Exception:
    """What an error of the hub's library is in words; itself where it is none of the network."""
    from huggingface_hub import errors

    # The library packs whatever kept it from asking the hub into "no local entry".
    if isinstance(error.__cause__, errors.RevisionNotFoundError):
        return _unknown(checkpoint, revision)
    unreachable = (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, errors.HfHubHTTPError)
    # Broken off in the middle: an exception of the HTTP library, which the hub's library has exchanged twice.
    from_http = type(error).__module__.startswith(("http", "requests", "urllib3"))
    if not (from_http or isinstance(error, unreachable)):
        return error
    return EngineError(
        "no-network",
        f"{checkpoint} is neither a folder nor in the hub cache, and the hub cannot be reached.",
        "Check the network, or choose the demo checkpoint or a folder on this disk.",
    )


def _unknown(checkpoint: str, revision: str | None) -> EngineError:
    return EngineError(
        "unknown-checkpoint",
        f"The hub knows no checkpoint {checkpoint!r}" + (f" at {revision!r}." if revision else "."),
        "Check the spelling (org/name); private ones need `hf auth login`.",
    )


def _progress_bar(report: Report) -> type:
    """A tqdm that reports instead of drawing."""
    from huggingface_hub.utils.tqdm import tqdm

    class Reporting(tqdm):
        def __init__(self, *positional: Any, **options: Any) -> None:
            options["disable"] = False
            self._reports = str(options.get("desc", "")).startswith(DOWNLOADED)
            super().__init__(*positional, **options)  # type: ignore[no-untyped-call]

        def display(self, *_: Any, **__: Any) -> None:
            if self._reports and self.total:
                report.progress(float(self.n), float(self.total), "bytes")

    return Reporting
