"""Checks of the files that a library reads by itself, and messages for its exceptions.

Standard library only, Python 3.10 and newer; numpy where it is installed.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from engines.errors import EngineError, first_line
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.checkpoint.folder_files import (
    refuse_special_files,
    refuse_undecodable,
    refuse_unsafe_files,
)
from engines.plan.checkpoint.mismatch import refuse_mismatch
from engines.worker.error_mapping import disk_full, is_disk_full, is_out_of_memory
from engines.worker.tokenizer_process import Stopped

FULL_BYTES = 4_000_000
"""A disk with less than this free is full: libraries write in blocks of up to some MB."""


def check_checkpoint(folder: Path) -> None:
    """Check the files, sizes and weights of a checkpoint from which an engine is made.

    Raises:
        EngineError: what is wrong with it.
    """
    from engines.backends.weight_scan import scan_weights

    if folder.is_file():  # the values of its tensors are checked when they are loaded
        read_checkpoint(folder)
        return
    _check_files(folder)
    refuse_mismatch(folder)
    scan_weights(folder)


def check_engine(checkpoint: Path, directory: Path) -> None:
    """Check the files of a stored engine and of its checkpoint; raises as `check_checkpoint`."""
    if not checkpoint.is_file():  # a GGUF file is its own engine
        _check_files(checkpoint)
    refuse_special_files(directory)


def _check_files(folder: Path) -> None:
    refuse_undecodable(str(folder))
    refuse_unsafe_files(folder)


@contextlib.contextmanager
def explained(doing: str, directory: Path | None = None) -> Iterator[None]:
    """Raise exceptions of libraries, for a wrong checkpoint, as an EngineError.

    Args:
        doing: what failed, as the start of the message: "The engine cannot be loaded".
        directory: where the library writes. If its disk is full, that is the reason given.
    """
    try:
        yield
    except (EngineError, Stopped, KeyboardInterrupt, SystemExit) as error:
        if directory is not None and _may_hide_full_disk(error) and _is_full(directory):
            raise disk_full() from error
        raise
    except (ImportError, NameError, AssertionError, NotImplementedError):  # not the checkpoint's fault
        raise
    except BaseException as error:  # a panic of a Rust library is no Exception
        if is_disk_full(error) or is_out_of_memory(error):
            raise
        if directory is not None and _is_full(directory):
            raise disk_full() from error
        raise EngineError(
            "load-failed",
            f"{doing}: {first_line(error)}",
            "The files of the checkpoint may not fit together: download it again, or try another backend.",
        ) from error


def _may_hide_full_disk(error: BaseException) -> bool:
    return isinstance(error, EngineError) and error.__cause__ is not None and error.code != "disk-full"


def _is_full(directory: Path) -> bool:
    for place in (directory, Path(tempfile.gettempdir())):
        with contextlib.suppress(OSError):
            if shutil.disk_usage(place).free < FULL_BYTES:
                return True
    return False
