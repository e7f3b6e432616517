"""Presets, each a system prompt and sampling: a few that are built in, and those that the user saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from app.state.settings.settings import ChatOptions, Settings
from app.terminal_text import displayable
from engines.worker.protocol import Sampling
from engines.worker.template_arguments import Thinking

PRESETS: Final[Mapping[str, ChatOptions]] = {
    "Greedy": ChatOptions(),
    "Balanced": ChatOptions(sampling=Sampling(temperature=0.7, top_p=0.9)),
    "Creative": ChatOptions(sampling=Sampling(temperature=1.1, min_p=0.05)),
    "Brief": ChatOptions("Answer in one or two short sentences.", Sampling(max_tokens=128)),
    "Measure": ChatOptions(sampling=Sampling(max_tokens=128, ignore_eos=True)),
}
"""The built-in ones. Greedy is the default: only deterministic answers of two engines can be compared."""

LONGEST_NAME = 40


def all_presets(settings: Settings) -> dict[str, ChatOptions]:
    """Return the built-in presets, then the user's."""
    return {**PRESETS, **settings.presets}


def applied(preset: ChatOptions, to: ChatOptions) -> ChatOptions:
    """Return the options of a side with the preset; what the preset does not set stays the side's.

    That is a system prompt that is empty, and thinking that is left to the chat template.
    """
    thinking = to.thinking if preset.thinking == Thinking() else preset.thinking
    system_prompt = preset.system_prompt or to.system_prompt
    return msgspec.structs.replace(preset, system_prompt=system_prompt, thinking=thinking)


def preset_of(options: ChatOptions, settings: Settings) -> str:
    """Return the name of the preset that matches the options of a side; empty where none does.

    A preset with a system prompt comes before one without, and the user's before a built-in one.
    """
    fitting = [name for name, preset in all_presets(settings).items() if applied(preset, options) == options]
    fitting.sort(key=lambda name: (bool(all_presets(settings)[name].system_prompt), name in settings.presets))
    return fitting[-1] if fitting else ""


def sampling_words(settings: Settings) -> str:
    """Return a short description of both sides' options; empty while both have the defaults."""
    left, right = (_words(settings.chat(side), settings) for side in ("left", "right"))
    if settings.left_chat == settings.right_chat == ChatOptions():
        return ""
    return left if left == right else f"left {left}, right {right}"


def _words(options: ChatOptions, settings: Settings) -> str:
    temperature = options.sampling.temperature
    name = preset_of(options, settings)
    words = displayable(name) or (f"temperature {temperature:g}" if temperature else "greedy")
    own_prompt = all_presets(settings).get(name, ChatOptions()).system_prompt != options.system_prompt
    return " + ".join(filter(None, (words, "system prompt" if own_prompt else "", options.thinking.words)))


def name_problem(name: str, settings: Settings, *, before: str = "") -> str:
    """Return why a preset cannot have this name, empty if it can; `before` is its present name."""
    if not name.strip():
        return "Write a name."
    if len(name) > LONGEST_NAME:
        return f"The name may have {LONGEST_NAME} characters."
    if not name.isprintable():
        return "The name has characters that cannot be shown."
    taken = {one.casefold() for one in all_presets(settings) if one != before}
    return f"There is a preset called {name} already." if name.casefold() in taken else ""


def saved(settings: Settings, name: str, options: ChatOptions) -> dict[str, ChatOptions]:
    """Return the user's presets with one more."""
    return {**settings.presets, name: options}


def renamed(settings: Settings, old: str, new: str) -> dict[str, ChatOptions]:
    """Return the user's presets with one renamed, in the same order."""
    return {new if name == old else name: preset for name, preset in settings.presets.items()}


def deleted(settings: Settings, name: str) -> dict[str, ChatOptions]:
    """Return the user's presets without one."""
    return {one: preset for one, preset in settings.presets.items() if one != name}
