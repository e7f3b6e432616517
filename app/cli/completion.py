"""Values that shells complete for options: checkpoints, engines, presets and conversations on this machine.

Each function runs at every press of Tab, so it imports little: neither Textual nor the libraries of backends.
"""

from __future__ import annotations

CONVERSATIONS = 20
"""Number of recent conversations that are offered; each one's file is read for its title."""
_SAFE = frozenset(" .,-_?!+")

Choices = list[tuple[str, str]]
"""Values, each with a short description for the shells that show one."""


def checkpoints() -> Choices:
    """Return the demo and the checkpoints of the hub cache; shells complete folders if none matches."""
    from app.state.settings.settings import DEMO
    from engines.plan.checkpoint.hub_cache import hub_cache_checkpoints, hub_cache_folder

    cached = hub_cache_checkpoints(hub_cache_folder())
    return [(DEMO, "ships with the project"), *((one.hub_id, "hub cache") for one in cached if one.is_main)]


def engines() -> Choices:
    """Return every BACKEND:PRECISION that runs on at least one kind of device."""
    from engines.backends.registry import LOCAL
    from engines.plan.precision import PRECISIONS
    from engines.plan.support import RULES

    supported = {(rule.backend, rule.precision) for rule in RULES if rule.support.state != "unavailable"}
    return [
        (f"{backend}:{name}", _plain(f"{entry.title} {precision.title}"))
        for backend, entry in LOCAL.items()
        for name, precision in PRECISIONS.items()
        if supported & {(backend, name), (backend, "*")}
    ]


def presets() -> Choices:
    """Return the built-in and the user's presets, without names that would need quoting in a shell."""
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
    """Return the backends that run in a separate environment, with the package it contains."""
    from engines.environments.recipe import RECIPES

    return [(name, f"{recipe.package} {recipe.release}") for name, recipe in RECIPES.items()]


def environment_releases() -> Choices:
    """Return the releases that `env create` installs, with their backend."""
    from engines.environments.recipe import RELEASES

    return [(recipe.release, name) for name, recipes in RELEASES.items() for recipe in recipes]


def built_engines() -> Choices:
    """Return the fingerprints of stored engines, and the names of unreadable ones, which can be removed."""
    from app.state.settings.paths import engine_store
    from engines.build.store import EngineStore

    store = EngineStore(engine_store())
    known = [(one.fingerprint, f"{one.spec.backend} {one.spec.precision}") for one in store.engines()]
    rest = [(one.fingerprint, one.reason) for one in store.unreadable()]
    return [(name, _plain(words)) for name, words in known + rest if name == _plain(name)]


def conversations() -> Choices:
    """Return the numbers of the most recent conversations, with their titles."""
    from app.state.conversation.saved_conversations import saved_conversations
    from app.state.settings.paths import conversation_folder

    saved = saved_conversations(conversation_folder(), CONVERSATIONS)
    return [(str(number), _plain(one.title[:60])) for number, one in enumerate(saved, 1)]


def _plain(text: str) -> str:
    """Return the text with characters that could mean something to a shell replaced by spaces.

    zsh evaluates completions, and a title may contain pasted text.
    """
    return "".join(char if char.isalnum() or char in _SAFE else " " for char in text).strip()
