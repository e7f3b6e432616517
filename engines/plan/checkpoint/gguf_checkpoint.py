"""The facts of a GGUF file as those of every other checkpoint.

Standard library only, Python 3.10 and newer.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from engines.gguf.dequantised import why_not_dequantised
from engines.gguf.facts import architecture_of, config_of, kv_heads_by_layer
from engines.gguf.header import MAGIC
from engines.gguf.model_file import GgufModel, first_part, is_gguf, part_of, read_model
from engines.gguf.quantisation import format_name, precision_name, tensors_by_type
from engines.gguf.tokenizer_kinds import refuse_unknown
from engines.plan.checkpoint.chat_template import gguf_template
from engines.plan.checkpoint.checkpoint_facts import Checkpoint
from engines.plan.checkpoint.config_numbers import refuse_impossible_numbers
from engines.plan.checkpoint.folder_files import MAX_FILES, refuse_lfs_pointer
from engines.plan.checkpoint.hub_cache import hub_snapshot
from engines.plan.checkpoint.json_file import broken
from engines.plan.checkpoint.model_card import MAX_DESCRIPTION, ModelCard
from engines.plan.checkpoint.quantisation import Quantisation
from engines.plan.checkpoint.shape import DecoderShape, read_shape
from engines.plan.checkpoint.weights import Weights
from engines.regular_file import read_start

EMBEDDING, HEAD, POSITIONS = "token_embd.weight", "output.weight", "position_embd.weight"
NO_WEIGHTS = ("rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight")


def is_gguf_file(path: Path) -> bool:
    """Return whether a path is a file that is to be read as GGUF: by its name, or by how it begins.

    Raises:
        OSError: it cannot be read.
    """
    if not path.is_file():
        return False
    return is_gguf(path) or read_start(path, len(MAGIC)) == MAGIC


def gguf_files(folder: Path) -> list[Path]:
    """Return the GGUF models in a folder by name, of one in several parts the first.

    Raises:
        OSError: the folder cannot be listed.
    """
    with os.scandir(folder) as entries:
        names = [entry.name for _, entry in zip(range(MAX_FILES), entries)]  # noqa: B905 - Python 3.10
    found = sorted(folder / name for name in names if is_gguf(Path(name)))
    return [one for one in found if part_of(one)[1] == 1 and one.is_file()]


def gguf_path(path: Path) -> Path:
    """Return the GGUF file that a path names: the first part of its model, or the only model in a folder.

    Any other path is returned as it is.

    Raises:
        OSError: it cannot be read.
    """
    if path.is_file():
        return first_part(path) if is_gguf(path) else path
    if not path.is_dir() or (path / "config.json").exists():
        return path
    found = gguf_files(path)
    models = [one for one in found if not one.name.lower().startswith("mmproj")]
    return models[0] if len(models) == 1 else path


def read_gguf(file: Path) -> Checkpoint:
    """Return the facts of a GGUF file, or of the model that it is a part of.

    Raises:
        EngineError: `broken-weights`, `broken-config`, `missing-weights`, `missing-tokenizer`,
            `not-causal-lm` or `unsupported-checkpoint`.
        OSError: it cannot be read.
    """
    refuse_lfs_pointer(file, "missing-weights")
    model = read_model(file)
    architecture = architecture_of(model)
    config = config_of(model, architecture)
    refuse_impossible_numbers(config, model.file)
    shape = _shape(model, config, architecture)
    _refuse_mismatch(model, shape)
    refuse_unknown(model)
    weights = _weights(model)
    return Checkpoint(
        name=name_of(model),
        folder=model.file,
        architecture=architecture,
        model_type=str(config["model_type"]),
        shape=shape,
        weights=weights,
        quantisation=_quantisation(model, weights),
        has_tokenizer=True,
        has_chat_template=gguf_template(model) is not None,
        needs_remote_code=False,
        card=_card(model),
        download_bytes=sum(part.size for part in model.parts),
        gguf_precision=precision_name(model),
        not_dequantised=why_not_dequantised(model, architecture, config),
        config=config,
        identity=_identity(model),
    )


def name_of(model: GgufModel) -> str:
    """Return the name of the file without its ending; of ollama's files, named by a digest, the model's."""
    if is_gguf(model.file):
        return part_of(model.file)[0]
    return _plain(model.text("general.name"), 80) or model.file.name[:20]


def _shape(model: GgufModel, config: Mapping[str, object], architecture: str) -> DecoderShape:
    shape = read_shape(config, model.file)
    value_dim = model.metadata.get(f"{architecture}.attention.value_length")
    if type(value_dim) is int and 0 < value_dim <= 65_536 and "kv_lora_rank" not in config:
        layers = tuple(replace(layer, value_dim=value_dim) for layer in shape.kv_layers)
        shape = replace(shape, kv_layers=layers)
    by_layer = kv_heads_by_layer(model, architecture)
    if len(by_layer) < shape.layers or not shape.kv_layers:
        return shape
    usual = shape.kv_layers[0]
    kept = tuple(replace(usual, heads=heads) for heads in by_layer[: shape.layers] if heads)
    return replace(shape, kv_layers=kept)


def _refuse_mismatch(model: GgufModel, shape: DecoderShape) -> None:
    """Refuse metadata of another model than the tensors: llama.cpp allocates what they say."""
    if shape.layers > len(model.tensors):
        why = f"it claims {shape.layers:,} layers and holds {len(model.tensors):,} tensors"
        raise broken(model.file, "broken-weights", why)
    table = model.tensors.get(EMBEDDING)
    if table is None:
        raise broken(model.file, "broken-weights", f"it has no tensor {EMBEDDING}")
    if table.shape[-1] != shape.vocabulary or table.shape[0] > shape.hidden:
        expected = [shape.hidden, shape.vocabulary]
        why = f"{EMBEDDING} has the shape {list(table.shape)}, and the metadata say {expected}"
        raise broken(model.file, "broken-weights", why)


def _weights(model: GgufModel) -> Weights:
    counts = {name: one.elements for name, one in model.tensors.items() if not name.endswith(NO_WEIGHTS)}
    head = counts.get(HEAD, 0)
    return Weights(
        parameters=sum(counts.values()),
        embedding=counts[EMBEDDING] + counts.get(POSITIONS, 0),
        head=head or counts[EMBEDDING],
        tied=not head,
        expert=sum(count for name, count in counts.items() if "_exps." in name),
        bytes_on_disk=sum(one.size for one in model.tensors.values()),
        dtype=precision_name(model),
    )


def _quantisation(model: GgufModel, weights: Weights) -> Quantisation:
    name = format_name(model)
    bits = 8 * weights.bytes_on_disk / max(1, weights.parameters)
    types = ", ".join(f"{count} in {one}" for one, count in tensors_by_type(model).most_common(4))
    description = f"A GGUF file in {name}: {bits:.1f} bits a weight; of its tensors {types}."
    return Quantisation(name, None, description)


def _card(model: GgufModel) -> ModelCard:
    about = _plain(model.text("general.description"), MAX_DESCRIPTION)
    return ModelCard(about, _plain(model.text("general.license"), 80))


def _plain(text: str, length: int) -> str:
    return "".join(letter for letter in text[:length] if letter.isprintable()).strip()


def _identity(model: GgufModel) -> dict[str, str]:
    """Return digests of the headers and sizes, and the hub revision or modification times."""
    snapshot = hub_snapshot(model.file.parent)
    facts = {"hub id": snapshot[0], "hub revision": snapshot[1]} if snapshot else {}
    for part in model.parts:
        facts[f"header of {part.file.name}"] = part.digest
        facts[f"bytes of {part.file.name}"] = str(part.size)
        if not snapshot:
            facts[f"change of {part.file.name}"] = str(part.file.stat().st_mtime_ns)
    return facts
