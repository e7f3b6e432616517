"""Check from the configuration alone, before weights are downloaded, whether a backend loads a checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from engines.errors import EngineError
from engines.plan.checkpoint.checkpoint import Checkpoint
from engines.plan.checkpoint.json_file import read_json_object
from engines.plan.checkpoint.quantisation import find_quantisation
from engines.plan.checkpoint.shape import causal_architecture
from engines.plan.hardware.hardware import Device
from engines.plan.precision import support
from engines.plan.support import CHECKPOINT_SUPPORT, Support
from engines.plan.support.gguf_files import gguf_support

CONFIGURATIONS = ["config.json", "hf_quant_config.json"]
"""The files of a checkpoint that `refuse_unloadable` reads."""


def support_of(
    backend: str, precision: str, device: Device, checkpoint: Checkpoint | None, context: int | None = None
) -> Support:
    """Return `support` of the precision on the device, limited by what the checkpoint allows.

    Args:
        checkpoint: None if it is not known yet.
        context: tokens of the context window; None for the shortest.
    """
    if checkpoint is not None and checkpoint.gguf_precision:
        return gguf_support(backend, precision, checkpoint, device)
    found = support(backend, precision, device)
    check = CHECKPOINT_SUPPORT.get(backend)
    if found.state == "unavailable" or checkpoint is None or check is None:
        return found
    named, config = checkpoint.architecture, checkpoint.config
    return check(named, config, checkpoint.quantisation, precision, device, context) or found


def refuse_unloadable(backend: str, folder: Path) -> None:
    """Check that `backend` is not known to refuse the checkpoint in `folder`.

    Raises:
        EngineError: the backend does not run its quantisation or its architecture
            (`unsupported-checkpoint`), or it is not a text decoder (`not-causal-lm`).
    """
    check = CHECKPOINT_SUPPORT.get(backend)
    if check is None or not (folder / "config.json").is_file():
        return
    config = read_json_object(folder / "config.json")
    architecture = causal_architecture(config, folder / "config.json")
    found = check(architecture, config, find_quantisation(folder, config), None)
    if found is not None and found.state == "unavailable":
        raise EngineError("unsupported-checkpoint", found.reason, found.remedy)


def refuse_without_weights(checkpoint: str, files: Iterable[str]) -> None:
    """Check that a list of files on the hub is not a choice of GGUF files.

    Raises:
        EngineError: there are GGUF files and no safetensors (`unsupported-checkpoint`).
    """
    suffixes = {name.rpartition(".")[2].lower() for name in files}
    if "gguf" in suffixes and "safetensors" not in suffixes:
        raise EngineError(
            "unsupported-checkpoint",
            f"{checkpoint} holds GGUF files, the format of llama.cpp, and the name does not say which one.",
            f"Download one with `hf download {checkpoint} FILE.gguf`, then choose it by its path; "
            "or use the original checkpoint with safetensors.",
        )
