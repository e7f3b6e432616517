"""Read the facts of a checkpoint: a folder with config.json, safetensors and a tokenizer, or a GGUF file.

Everything comes from the config and the headers; no weights are loaded and no code of the checkpoint runs.
Files are untrusted input: the result for any folder is a `Checkpoint` or an `EngineError`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from engines.errors import EngineError
from engines.plan.checkpoint.chat_template import read_chat_template
from engines.plan.checkpoint.checkpoint_facts import Checkpoint
from engines.plan.checkpoint.config_numbers import refuse_impossible_numbers
from engines.plan.checkpoint.folder_files import refuse_undecodable, refuse_unsafe_files
from engines.plan.checkpoint.gguf_checkpoint import gguf_files, gguf_path, is_gguf_file, read_gguf
from engines.plan.checkpoint.hub_cache import (
    HubCheckpoint,
    hub_cache_checkpoints,
    hub_cache_folder,
    hub_snapshot,
    looks_like_hub_id,
)
from engines.plan.checkpoint.json_file import MAX_CONFIG_BYTES, read_json_object
from engines.plan.checkpoint.model_card import read_model_card
from engines.plan.checkpoint.quantisation import Quantisation, find_quantisation
from engines.plan.checkpoint.shape import causal_architecture, read_shape
from engines.plan.checkpoint.tensors import header_digest, tensor_entries, unused_weight_files, weight_files
from engines.plan.checkpoint.text_part import is_wrapper, text_config
from engines.plan.checkpoint.transformers_models import is_causal_model
from engines.plan.checkpoint.weights import Weights, add_up
from engines.plan.random_shape import random_seed
from engines.regular_file import read_regular

__all__ = [
    "Checkpoint",
    "HubCheckpoint",
    "Quantisation",
    "hub_cache_checkpoints",
    "hub_cache_folder",
    "looks_like_hub_id",
    "read_checkpoint",
]

TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "tekken.json",
    "vocab.txt", "vocab.json",
)  # fmt: skip
"""transformers can load a tokenizer from any one of these files."""


def read_checkpoint(
    folder: Path, *, trust_remote_code: bool = False, need_tokenizer: bool = True
) -> Checkpoint:
    """Return the facts of the checkpoint in `folder`, which may be a GGUF file too.

    Raises:
        EngineError: `no-checkpoint`, `broken-config`, `not-causal-lm`, `remote-code`, `missing-tokenizer`,
            `missing-weights`, `broken-weights`, `undecodable-path` or `unsupported-checkpoint`.
    """
    try:
        return _read(folder.expanduser().absolute(), trust_remote_code, need_tokenizer)
    except (OSError, RuntimeError) as error:  # permission denied, a file that was deleted, no home folder
        raise EngineError(
            "no-checkpoint", f"{folder} cannot be read: {error}.", "Check the path and its permissions."
        ) from error


def _read(folder: Path, trust_remote_code: bool, need_tokenizer: bool) -> Checkpoint:
    refuse_undecodable(str(folder))
    folder = gguf_path(folder)
    if is_gguf_file(folder):
        return read_gguf(folder)
    file = _config_file(folder)
    refuse_unsafe_files(folder)
    config = read_json_object(file)
    architecture = causal_architecture(config, file)
    refuse_impossible_numbers(config, file)
    model_type = _model_type(config)
    settings = _tokenizer_settings(folder)
    remote = _needs_remote_code(config, settings, model_type, folder)
    if remote and not trust_remote_code:
        raise _remote_code(architecture)
    has_tokenizer = remote or _has_tokenizer(folder)
    if need_tokenizer and not has_tokenizer:
        raise _missing_tokenizer(folder)
    quantisation = find_quantisation(folder, config)
    return Checkpoint(
        name=_name(folder),
        folder=folder,
        architecture=architecture,
        model_type=model_type,
        shape=read_shape(config, file),
        weights=_weights(folder, config, quantisation),
        quantisation=quantisation,
        has_tokenizer=has_tokenizer,
        has_chat_template=read_chat_template(folder) is not None,
        needs_remote_code=remote,
        card=read_model_card(folder),
        download_bytes=sum(file.stat().st_size for file in weight_files(folder)),
        is_text_part=is_wrapper(config),
        unused_files=tuple(unused_weight_files(folder)),
        is_random=random_seed(folder) is not None,
        config=config,
        identity=_identity(folder),
    )


def _weights(folder: Path, config: Mapping[str, object], quantisation: Quantisation | None) -> Weights:
    tie = text_config(config).get("tie_word_embeddings") is True
    return add_up(tensor_entries(folder), tie, quantisation.bits if quantisation else None)


def _config_file(folder: Path) -> Path:
    file = folder / "config.json"
    if file.is_file():
        return file
    hint = "Choose a folder with config.json, safetensors and a tokenizer, or a GGUF file."
    if file.is_symlink():
        what = "has a config.json that is a link to a file that is missing"
        hint = "Download the checkpoint again: it is incomplete."
    elif not folder.is_dir():
        what = "is a file, not a model folder" if folder.exists() else "does not exist"
    elif (folder / "adapter_config.json").is_file():
        what, hint = "is an adapter without its base model", "Merge the adapter into its base model first."
    elif found := gguf_files(folder):
        what = f"holds GGUF files and no config.json: {', '.join(one.name for one in found[:3])}"
        hint = f"Choose one of them by its path, such as {found[0]}."
    else:
        what = "has no config.json" if any(folder.iterdir()) else "is empty"
    raise EngineError("no-checkpoint", f"{folder} {what}.", hint)


def _model_type(config: Mapping[str, object]) -> str:
    value = text_config(config).get("model_type")
    return value[:80] if isinstance(value, str) and value.isprintable() else ""


def _tokenizer_settings(folder: Path) -> Mapping[str, object]:
    file = folder / "tokenizer_config.json"
    return read_json_object(file) if file.is_file() else {}


def _needs_remote_code(
    config: Mapping[str, object], settings: Mapping[str, object], model_type: str, folder: Path
) -> bool:
    """Return whether code of the checkpoint is needed.

    A checkpoint may name code for a family that transformers has added since; that code is not needed.
    """
    model = "AutoModelForCausalLM" in _keys(config.get("auto_map")) and not is_causal_model(model_type)
    tokenizer = "AutoTokenizer" in _keys(settings.get("auto_map")) and not _has_tokenizer(folder)
    return model or tokenizer


def _has_tokenizer(folder: Path) -> bool:
    return any((folder / name).is_file() for name in TOKENIZER_FILES)


def _keys(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _remote_code(architecture: str) -> EngineError:
    return EngineError(
        "remote-code",
        f"{architecture} is not supported by the installed transformers: "
        "loading it would run code from the checkpoint.",
        "Upgrade transformers, or review the code and allow it with trust_remote_code.",
    )


def _missing_tokenizer(folder: Path) -> EngineError:
    return EngineError(
        "missing-tokenizer",
        f"{folder.name} has no tokenizer.",
        "Copy tokenizer.json and tokenizer_config.json of the original model into the folder.",
    )


def _name(folder: Path) -> str:
    snapshot = hub_snapshot(folder)
    return snapshot[0] if snapshot else folder.name


def _identity(folder: Path) -> dict[str, str]:
    """Return digests of config and headers, file sizes, and the hub revision or modification times.

    A hub snapshot is identified by its commit, so copying or downloading it again does not change it.
    """
    snapshot = hub_snapshot(folder)
    config = read_regular(folder / "config.json", MAX_CONFIG_BYTES)
    facts = {"config.json": hashlib.sha256(config).hexdigest()}
    if snapshot:
        facts |= {"hub id": snapshot[0], "hub revision": snapshot[1]}
    for file in weight_files(folder):
        status = file.stat()
        facts[f"header of {file.name}"] = header_digest(file)
        facts[f"bytes of {file.name}"] = str(status.st_size)
        if not snapshot:
            facts[f"change of {file.name}"] = str(status.st_mtime_ns)
    return facts
