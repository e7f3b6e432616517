"""What is said about a model below the list."""

from __future__ import annotations

from pathlib import Path

from app.state.models.model_entry import ModelEntry
from app.state.models.named_model import NamedModel
from app.state.settings.settings import DEMO
from app.units import bytes_text, count_text, parameters_text
from engines.plan.checkpoint.checkpoint import Checkpoint
from engines.plan.gguf_formats import precision_of

TOY = "toy model, ships with the project"
UNKNOWN = "Not on this disk: Enter downloads it first. Its size is not known yet."


def facts_text(model: NamedModel, entry: ModelEntry | None) -> str:
    """Return the facts in one paragraph, or the problem."""
    if model.problem:
        return model.problem
    parts = [*_of_checkpoint(model), *_of_entry(model, entry)]
    return " · ".join(parts) or UNKNOWN


def _of_checkpoint(model: NamedModel) -> list[str]:
    checkpoint = model.checkpoint
    if checkpoint is None:
        return []
    parts = [
        checkpoint.architecture,
        f"{parameters_text(checkpoint.parameters)} parameters",
        *_weights(checkpoint),
        f"{checkpoint.shape.layers} layers",
        f"KV cache {bytes_text(checkpoint.kv_bytes_per_token(2))} per token at 16 bits",
    ]
    if checkpoint.is_text_part:
        parts.insert(1, "only its text part is loaded")
    if checkpoint.unused_files:
        parts.append(f"not loaded: {', '.join(checkpoint.unused_files[:3])}")
    if checkpoint.quantisation and not checkpoint.gguf_precision:
        parts.append(f"quantised: {checkpoint.quantisation.name}")
    if not checkpoint.has_chat_template:
        parts.append("no chat template: base model, continues text")
    return parts


def _weights(checkpoint: Checkpoint) -> list[str]:
    """Return type and size of the weights; of a GGUF file its quantisation and context, too."""
    size = bytes_text(checkpoint.weight_bytes)
    if not checkpoint.gguf_precision:
        return [f"{checkpoint.dtype}, {size}"]
    bits = 8 * checkpoint.weight_bytes / max(1, checkpoint.parameters)
    trained = f"trained for {count_text(checkpoint.max_positions)} tokens"
    context = [trained] if checkpoint.max_positions else []
    return [f"GGUF {precision_of(checkpoint.dtype).title}, {size}, {bits:.1f} bits per weight", *context]


def _of_entry(model: NamedModel, entry: ModelEntry | None) -> list[str]:
    parts = [TOY] if model.name == DEMO else [_from_home(model.name)]
    if entry is None:
        return parts
    if model.checkpoint is None and entry.weight_bytes:
        parts.append(bytes_text(entry.weight_bytes))
    parts += [f"licence {entry.licence}"] if entry.licence else []
    parts += [f"{entry.built} built"] if entry.built else []
    parts += [f"{count_text(entry.downloads)} downloads a month"] if entry.downloads else []
    if entry.begun:
        parts.append(f"{bytes_text(entry.begun)} are downloaded: Enter resumes")
    elif model.is_remote:
        parts.append("not on this disk: downloaded first")
    if entry.gated:
        parts.append(f"gated: accept the terms on huggingface.co/{entry.name}, then run `hf auth login`")
    return parts


def _from_home(name: str) -> str:
    """Return a folder below the home folder as `~/models/name`, and any other name as it is."""
    try:
        return f"~/{Path(name).relative_to(Path.home())}"
    except (ValueError, RuntimeError):  # elsewhere; no home folder
        return name
