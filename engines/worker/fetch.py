"""Bringing a checkpoint of the Hugging Face hub onto this disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.errors import EngineError

if TYPE_CHECKING:
    from engines.backends.base import Report

WANTED = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model", "README.md", "LICENSE*"]
"""Weights as safetensors only: pickled ones could run code."""


def fetch(checkpoint: str, revision: str | None, report: Report) -> Path:
    """Download what is missing of `org/name` into the hub cache and return the snapshot's folder.

    Raises:
        EngineError: unknown id, gated, no network, or no space.
    """
    import huggingface_hub
    from huggingface_hub import errors

    try:
        folder = huggingface_hub.snapshot_download(
            checkpoint, revision=revision, allow_patterns=WANTED, tqdm_class=_progress_bar(report)
        )
    except errors.GatedRepoError as error:
        raise EngineError(
            "gated",
            f"{checkpoint} is gated: its authors want you to accept their terms first.",
            f"Accept them on huggingface.co/{checkpoint}, then run `hf auth login`.",
        ) from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.HFValidationError) as error:
        raise EngineError(
            "unknown-checkpoint",
            f"The hub knows no checkpoint {checkpoint!r}" + (f" at {revision!r}." if revision else "."),
            "Check the spelling (org/name); private ones need `hf auth login`.",
        ) from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, errors.HfHubHTTPError) as error:
        raise EngineError(
            "no-network",
            f"{checkpoint} is not in the hub cache and the hub cannot be reached.",
            "Check the network, or choose the demo checkpoint or a folder on this disk.",
        ) from error
    return Path(folder)


def _progress_bar(report: Report) -> type:
    """A tqdm that reports instead of drawing."""
    from huggingface_hub.utils.tqdm import tqdm

    class Reporting(tqdm):
        def __init__(self, *positional: Any, **options: Any) -> None:
            options["disable"] = False
            super().__init__(*positional, **options)  # type: ignore[no-untyped-call]

        def display(self, *_: Any, **__: Any) -> None:
            if self.total:
                report.progress(float(self.n), float(self.total), str(self.unit))

    return Reporting
