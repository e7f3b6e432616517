"""Download checkpoints from the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.errors import EngineError
from engines.plan.checkpoint.loadable import CONFIGURATIONS, refuse_unloadable, refuse_without_weights

if TYPE_CHECKING:
    from engines.backends.base import Report

ALLOW_PATTERNS = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model", "README.md", "LICENSE*"]
"""Weights as safetensors only: unpickling could run code."""
IGNORE_PATTERNS = ["*/*", "consolidated*"]
"""Other formats in subfolders, and Mistral's second copy of the weights."""
HUB_TIMEOUT_SECONDS = 8.0
"""Time limit of the first, small request to the hub."""
BYTES_BAR_PREFIX = "Reconstructing"
"""Start of the description of the one progress bar of huggingface_hub that counts bytes on this disk."""


def fetch(checkpoint: str, revision: str | None, report: Report, backend: str) -> Path:
    """Download the missing files of `org/name` into the hub cache.

    The configuration is downloaded first: a checkpoint that `backend` cannot load is refused before any
    weights are downloaded.

    Returns:
        The folder of the snapshot.

    Raises:
        EngineError: `unknown-checkpoint`, `gated`, `no-network`, or the checkpoint cannot be loaded by
            `backend`.
        OSError: The disk is full, or another error that is not one of the network.
    """
    import huggingface_hub
    from huggingface_hub import errors

    try:
        # snapshot_download has no timeout: on a network that drops packets it would wait forever.
        info = huggingface_hub.HfApi().model_info(checkpoint, revision=revision, timeout=HUB_TIMEOUT_SECONDS)
        refuse_without_weights(checkpoint, [file.rfilename for file in info.siblings or ()])
        config_folder = huggingface_hub.snapshot_download(
            checkpoint, revision=revision, allow_patterns=CONFIGURATIONS
        )
        refuse_unloadable(backend, Path(config_folder))
        folder = huggingface_hub.snapshot_download(
            checkpoint,
            revision=revision,
            allow_patterns=ALLOW_PATTERNS,
            ignore_patterns=IGNORE_PATTERNS,
            tqdm_class=_progress_bar_class(report),
        )
    except errors.GatedRepoError as error:
        raise EngineError(
            "gated",
            f"{checkpoint} is gated: its authors require you to accept their terms first.",
            f"Accept them on huggingface.co/{checkpoint}, then run `hf auth login`.",
        ) from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.HFValidationError) as error:
        raise _unknown_checkpoint(checkpoint, revision) from error
    except Exception as error:
        raise _as_engine_error(error, checkpoint, revision) from error
    return Path(folder)


def _as_engine_error(error: Exception, checkpoint: str, revision: str | None) -> Exception:
    """Return the EngineError for a network error of the hub library; other errors are returned unchanged."""
    from huggingface_hub import errors

    # The library wraps every failed request in LocalEntryNotFoundError.
    if isinstance(error.__cause__, errors.RevisionNotFoundError):
        return _unknown_checkpoint(checkpoint, revision)
    unreachable = (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, errors.HfHubHTTPError)
    # An interrupted download raises an error of the HTTP library, which huggingface_hub has changed twice.
    from_http = type(error).__module__.startswith(("http", "requests", "urllib3"))
    if not (from_http or isinstance(error, unreachable)):
        return error
    return EngineError(
        "no-network",
        f"{checkpoint} is neither a folder nor in the hub cache, and the hub cannot be reached.",
        "Check the network, or choose the demo checkpoint or a folder on this disk.",
    )


def _unknown_checkpoint(checkpoint: str, revision: str | None) -> EngineError:
    return EngineError(
        "unknown-checkpoint",
        f"The hub has no checkpoint {checkpoint!r}" + (f" at {revision!r}." if revision else "."),
        "Check the spelling (org/name); private checkpoints need `hf auth login`.",
    )


def _progress_bar_class(report: Report) -> type:
    """Return a tqdm class that sends progress to `report` instead of drawing."""
    from huggingface_hub.utils.tqdm import tqdm

    class Reporting(tqdm):
        def __init__(self, *positional: Any, **options: Any) -> None:
            options["disable"] = False
            self._counts_bytes = str(options.get("desc", "")).startswith(BYTES_BAR_PREFIX)
            super().__init__(*positional, **options)  # type: ignore[no-untyped-call]

        def display(self, *_: Any, **__: Any) -> None:
            if self._counts_bytes and self.total:
                report.progress(float(self.n), float(self.total), "bytes")

    return Reporting
