"""Where the list of models comes from: this disk, the suggestions, and the hub. All functions block."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from app.state.models.fit import Fit, model_fit
from app.state.models.model_entry import ModelEntry, Section
from app.state.models.named_model import NamedModel, named_model
from app.state.settings import paths
from app.state.settings.settings import DEMO, Settings
from engines.backends.registry import BACKENDS
from engines.build.store import EngineStore
from engines.demo import CHECKPOINT
from engines.errors import EngineError
from engines.hub.local import LocalModel, local_models
from engines.hub.models import HubModel
from engines.hub.preview import read_remote
from engines.hub.search import last_results, search
from engines.hub.suggested import SUGGESTED
from engines.hub.unfinished import unfinished_downloads
from engines.plan.checkpoint.checkpoint import Checkpoint, read_checkpoint
from engines.plan.checkpoint.hub_cache import looks_like_hub_id
from engines.plan.gguf_formats import GGUF_BACKEND
from engines.plan.hardware.hardware import Device
from engines.plan.hardware.placement import device_of
from engines.plan.random_shape import PREFIX

MAX_READ = 60
"""Models on this disk whose headers are read for an estimate."""


@dataclass(frozen=True)
class Context:
    """What the entries depend on."""

    settings: Settings
    cpu: Device
    gpu: Device | None
    store: EngineStore

    def fit(self, checkpoint: Checkpoint) -> Fit | None:
        """Return how a checkpoint fits with the backend of the left side; a GGUF file with its own."""
        backend = GGUF_BACKEND if checkpoint.gguf_precision else self.settings.left.backend
        if backend not in BACKENDS:
            return None
        device = device_of(backend, self.cpu, self.gpu)
        return model_fit(checkpoint, backend, self.settings.context, device)


@dataclass(frozen=True)
class Found:
    """What the hub found."""

    text: str
    entries: tuple[ModelEntry, ...] = ()
    note: str = ""
    """That results are old, or why there are none."""


def local_and_suggested(context: Context) -> tuple[ModelEntry, ...]:
    """Return what is on this disk, then the suggestions that are not."""
    recents = [Path(name) for name in context.settings.recent if not looks_like_hub_id(name)]
    folders = [Path(name) for name in context.settings.model_folders]
    built = _built(context.store)
    here = [
        _local_entry(one, context, built, read=place < MAX_READ)
        for place, one in enumerate(local_models(recents, folders))
    ]
    present = {one.name for one in here}
    titles = {one.title for one in here}  # a copy of the model in a folder has its name
    begun = {one.hub_id: one.part_bytes for one in unfinished_downloads()}
    suggested = []
    for one in SUGGESTED:
        if one.hub_id not in present and _model_name(one.hub_id) not in titles:
            model, checkpoint = one.model, one.checkpoint
            suggested.append(
                ModelEntry(
                    one.hub_id,
                    _model_name(one.hub_id),
                    Section.SUGGESTED,
                    model.parameters,
                    model.weight_bytes,
                    licence=one.licence,
                    fit=context.fit(checkpoint),
                    begun=begun.pop(one.hub_id, 0),
                )
            )
    unfinished = [
        ModelEntry(name, _model_name(name), Section.SUGGESTED, begun=size)
        for name, size in begun.items()
        if name not in present
    ]
    return (*_chosen_shape(context), *here, *unfinished, *suggested)


def search_hub(text: str) -> Found:
    """Return what the hub finds; without a network, what it found the last time, with its date."""
    store = paths.hub_folder() / "searches.json"
    try:
        models, note = search(text, store=store), ""
    except EngineError as error:
        kept = last_results(text, store=store)
        models = list(kept.models) if kept else []
        old = f"results of {kept.date.astimezone():%Y-%m-%d}" if kept else "no earlier results"
        note = f"{error.message.rstrip('.')}: {old}"
    if not models and not note:
        note = "nothing found"
    return Found(text, tuple(map(_hub_entry, models)), note)


def preview(hub_id: str) -> NamedModel:
    """Return the facts of a model on the hub, of which a few kB are fetched."""
    try:
        checkpoint = read_remote(hub_id, folder=paths.hub_folder() / "previews")
    except EngineError as error:
        if error.code in ("no-network", "hub-error"):
            return NamedModel(hub_id, is_remote=True)
        return NamedModel(hub_id, problem=f"{error.message} {error.hint}".strip(), is_remote=True)
    except OSError:  # the cache cannot be written: the download will say so
        return NamedModel(hub_id, is_remote=True)
    return NamedModel(hub_id, checkpoint, is_remote=True)


def _local_entry(model: LocalModel, context: Context, built: Counter[str], *, read: bool) -> ModelEntry:
    checkpoint = _readable(model.path) if read else None
    name = DEMO if model.kind == "demo" else model.hub_id or str(model.path)
    return ModelEntry(
        name,
        DEMO if model.kind == "demo" else _model_name(model.name),
        Section.DISK,
        checkpoint.parameters if checkpoint else None,
        model.weight_bytes,
        built[str(CHECKPOINT if model.kind == "demo" else model.path.resolve())],
        checkpoint.card.licence if checkpoint else "",
        fit=context.fit(checkpoint) if checkpoint else None,
    )


def _chosen_shape(context: Context) -> list[ModelEntry]:
    """Return the shape with random weights that is chosen, if one is: it is in no folder that is listed."""
    name = context.settings.checkpoint
    checkpoint = named_model(name).checkpoint if name.startswith(PREFIX) else None
    if checkpoint is None:
        return []
    sizes = checkpoint.parameters, checkpoint.weight_bytes
    return [ModelEntry(name, name, Section.DISK, *sizes, fit=context.fit(checkpoint))]


def _readable(folder: Path) -> Checkpoint | None:
    try:
        return read_checkpoint(folder)
    except EngineError:  # the line below the list says why once the model is chosen
        return None


def _hub_entry(model: HubModel) -> ModelEntry:
    return ModelEntry(
        model.hub_id,
        model.hub_id,
        Section.HUB,
        model.parameters,
        model.weight_bytes,
        licence=model.licence,
        gated=model.gated,
        downloads=model.downloads,
    )


def _model_name(hub_id: str) -> str:
    """Return the name without the owner, for a list; the owner is in the line below."""
    return hub_id.rpartition("/")[2]


def _built(store: EngineStore) -> Counter[str]:
    """Return the number of engines in the store by the folder of their checkpoint."""
    try:
        return Counter(entry.spec.checkpoint for entry in store.engines())
    except OSError:
        return Counter()
