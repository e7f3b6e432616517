"""What the shell may complete behind an option: names that this machine has, read without any library.

It runs at each Tab, so it imports little: never Textual or an engine's libraries.
"""

from __future__ import annotations

from collections.abc import Iterable

CONVERSATIONS = 20
"""So many of the newest are offered: of each, the file is read for its title."""
_SAFE = frozenset(" .,-_?!+")

Choices = list[tuple[str, str]]
"""Values, each with a few words on it for the shells that show them."""


def checkpoints() -> Choices:
    """The demo and what the hub cache holds; where nothing of it fits, shells complete folders."""
    from app.state.settings.settings import DEMO
    from engines.plan.checkpoint.hub_cache import hub_cache_checkpoints, hub_cache_folder

    cached = hub_cache_checkpoints(hub_cache_folder())
    return [(DEMO, "ships with the project"), *((one.hub_id, "hub cache") for one in cached if one.is_main)]


def engines() -> Choices:
    """Every BACKEND:PRECISION that some device runs."""
    from engines.backends.registry import BACKENDS
    from engines.plan.precision import PRECISIONS
    from engines.plan.support import RULES

    runs = {(rule.backend, rule.precision) for rule in RULES if rule.support.state != "unavailable"}
    return [
        (f"{backend}:{name}", _plain(f"{entry.title} {precision.title}"))
        for backend, entry in BACKENDS.items()
        for name, precision in PRECISIONS.items()
        if runs & {(backend, name), (backend, "*")}
    ]


def presets() -> Choices:
    """Ours and the user's; a name that a shell would have to quote is left out."""
    from app.state.settings.paths import settings_file
    from app.state.settings.presets import PRESETS, all_presets
    from app.state.settings.settings import Settings, SettingsError, load_settings

    try:
        settings = load_settings(settings_file())
    except SettingsError:
        settings = Settings()
    names = [name for name in all_presets(settings) if name == _plain(name) and " " not in name]
    return [(name, "" if name in PRESETS else "yours") for name in names]


def environments() -> Choices:
    """The backends that have an environment of their own."""
    from engines.environments.recipe import RECIPES

    return [(name, recipe.package.replace("==", " ")) for name, recipe in RECIPES.items()]


def built_engines() -> Choices:
    """The fingerprints of the engine store, and the folders in it that can only be deleted."""
    from app.state.settings.paths import engine_store
    from engines.build.store import EngineStore

    store = EngineStore(engine_store())
    known = [(one.fingerprint, f"{one.spec.backend} {one.spec.precision}") for one in store.engines()]
    rest = [(one.fingerprint, one.reason) for one in store.unreadable()]
    return [(name, _plain(words)) for name, words in known + rest if name == _plain(name)]


def conversations() -> Choices:
    """The numbers of the newest conversations, with their titles."""
    from app.state.conversation.saved_conversations import saved_conversations
    from app.state.settings.paths import conversation_folder

    saved = saved_conversations(conversation_folder(), CONVERSATIONS)
    return [(str(number), _plain(one.title[:60])) for number, one in enumerate(saved, 1)]


def _plain(text: str) -> str:
    """Only what means nothing to any shell: a title may have been pasted from anywhere."""
    return "".join(_kept(text)).strip()


def _kept(text: str) -> Iterable[str]:
    return (one if one.isalnum() or one in _SAFE else " " for one in text)
