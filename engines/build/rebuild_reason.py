"""Why an engine of the store does not fit a request, as text for the build log."""

from __future__ import annotations

import json

from engines.build.spec import CHECKPOINT, CONTENT, RECIPE, VERSION, EngineSpec

OPTIONS = "options"
"""Name of the input with the options of a spec."""


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
        elif name == OPTIONS and (recipes := _recipes(old, new)):
            found[f"the recipe of the weights changed from {recipes[0]} to {recipes[1]}"] = None
        else:
            found[f"{name.removeprefix(VERSION)} changed from {old} to {new}"] = None
    return "; ".join(found)


def _recipes(old: str, new: str) -> tuple[str, str] | None:
    """Return the recipes of two options of fingerprints, as text; None if they are the same."""
    before, now = (json.loads(options).get(RECIPE, "uncalibrated") for options in (old, new))
    return None if before == now else (before, now)


def same_request(before: EngineSpec, old: dict[str, str], spec: EngineSpec, inputs: dict[str, str]) -> bool:
    """Return whether two builds are of the same engine and checkpoint, apart from changes of their content.

    Args:
        before: what the stored engine was built from.
        old: the inputs of its fingerprint.
        spec: the requested engine, with the checkpoint as a folder on this disk.
        inputs: the inputs of its fingerprint.
    """
    one, other = ((s.backend, s.precision, _without_recipe(s)) for s in (before, spec))
    same = one == other
    hub_id = f"{CHECKPOINT}hub id"
    if hub_id in inputs:  # another revision is another folder
        return same and old.get(hub_id) == inputs[hub_id]
    return same and before.checkpoint == spec.checkpoint


def _without_recipe(spec: EngineSpec) -> dict[str, str]:
    return {name: value for name, value in spec.options.items() if name != RECIPE}
