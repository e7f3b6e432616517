"""Search the hub for text models with safetensors, and keep the last results for days without a network."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from engines.hub.bounded_get import get_json
from engines.hub.failures import hub_error
from engines.hub.models import HubModel, model_of_api
from engines.plan.checkpoint.hub_cache import looks_like_hub_id
from engines.plan.checkpoint.json_file import parse_json
from engines.regular_file import read_regular

MAX_ANSWER_BYTES = 4_000_000
MAX_RESULTS = 100
MAX_QUERY = 200
"""Characters."""
MAX_STORED_QUERIES = 30
MAX_STORE_BYTES = 2_000_000
_EXPANDED = ("downloads", "gated", "likes", "pipeline_tag", "safetensors", "tags")


@dataclass(frozen=True)
class LastResults:
    """What the hub found when a query was last searched."""

    models: tuple[HubModel, ...]
    date: datetime
    """In UTC."""


def search(text: str, limit: int = 20, *, store: Path | None = None) -> list[HubModel]:
    """Return the most downloaded text-generation models whose id contains `text`.

    Args:
        limit: at most this many; MAX_RESULTS is the largest.
        store: file that keeps the results for `last_results`; a failure to write it is ignored.

    Raises:
        EngineError: `no-network` or `hub-error`.
    """
    query = _normalised(text)
    parameters: dict[str, Any] = {
        "filter": ["safetensors"],
        "pipeline_tag": "text-generation",
        "sort": "downloads",
        "limit": max(1, min(limit, MAX_RESULTS)),
        "expand": list(_EXPANDED),
    }
    if query:
        parameters["search"] = query
    items = get_json("api/models", parameters, MAX_ANSWER_BYTES)
    if not isinstance(items, list):
        raise hub_error("it is not a list of models")
    models = [model for item in items[: parameters["limit"]] if (model := model_of_api(item))]
    if store is not None:
        with suppress(OSError):
            _keep(store, query, LastResults(tuple(models), datetime.now(timezone.utc)))
    return models


def last_results(text: str, *, store: Path) -> LastResults | None:
    """Return what `search` found last for this text; None if it was never searched or the file is damaged."""
    return _stored(store).get(_normalised(text))


def _normalised(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text[:MAX_QUERY]).lower().split())


def _keep(store: Path, query: str, results: LastResults) -> None:
    """Write the results of a query in front of those of the MAX_STORED_QUERIES last ones."""
    older = _stored(store)
    older.pop(query, None)
    newest = {query: results} | dict(list(older.items())[: MAX_STORED_QUERIES - 1])
    content = {
        key: {"date": one.date.isoformat(), "models": [asdict(model) for model in one.models]}
        for key, one in newest.items()
    }
    store.parent.mkdir(parents=True, exist_ok=True)
    # Written under another name and moved: another app may read it now.
    descriptor, name = tempfile.mkstemp(dir=store.parent, prefix=f"{store.name}.")
    try:
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
            json.dump(content, file)
        os.replace(name, store)  # noqa: PTH105
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _stored(store: Path) -> dict[str, LastResults]:
    """Return the results by query, the newest first; empty if the file is missing or damaged."""
    try:
        content = parse_json(read_regular(store, MAX_STORE_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {key: found for key, value in content.items() if (found := _results(value))}


def _results(value: object) -> LastResults | None:
    try:
        date = datetime.fromisoformat(value["date"]).astimezone(timezone.utc)  # type: ignore[index]
        models = tuple(HubModel(**model) for model in value["models"])  # type: ignore[index]
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return LastResults(models, date) if all(map(_is_valid, models)) else None


def _is_valid(model: HubModel) -> bool:
    """Return whether each field of a stored model has the type that it is declared with."""
    kinds: dict[str, Any] = {"str": str, "int": int, "bool": bool, "int | None": (int, type(None))}
    typed = all(isinstance(getattr(model, f.name), kinds[str(f.type)]) for f in fields(model))
    return typed and looks_like_hub_id(model.hub_id)
