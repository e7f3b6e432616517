"""Why an engine of the store does not fit a request, as text for the build log."""

from __future__ import annotations

from engines.build.spec import CHECKPOINT, CONTENT, VERSION, EngineSpec


def changes(before: dict[str, str], now: dict[str, str]) -> str:
    """Return what differs between the inputs of two fingerprints, as text; empty if nothing does."""
    found: dict[str, None] = {}  # a set that keeps its order
    for name in {**now, **before}:
        old, new = before.get(name, "none"), now.get(name, "none")
        if old == new:
            continue
        if name.startswith(CHECKPOINT):
            # "header of model.safetensors", "bytes of …", "change of …": to the user all the same file.
            found[f"the checkpoint's {name.removeprefix(CHECKPOINT).rpartition(' of ')[2]} changed"] = None
        elif name.startswith(CONTENT):
            found[f"the {name.removeprefix(CONTENT)} text changed"] = None
        else:
            found[f"{name.removeprefix(VERSION)} changed from {old} to {new}"] = None
    return "; ".join(found)


def same_request(before: EngineSpec, old: dict[str, str], spec: EngineSpec, inputs: dict[str, str]) -> bool:
    """Return whether two builds are of the same engine and checkpoint, apart from changes of their content.

    Args:
        before: what the stored engine was built from.
        old: the inputs of its fingerprint.
        spec: the requested engine, with the checkpoint as a folder on this disk.
        inputs: the inputs of its fingerprint.
    """
    same = (before.backend, before.precision, before.options) == (spec.backend, spec.precision, spec.options)
    hub_id = f"{CHECKPOINT}hub id"
    if hub_id in inputs:  # another revision is another folder
        return same and old.get(hub_id) == inputs[hub_id]
    return same and before.checkpoint == spec.checkpoint
