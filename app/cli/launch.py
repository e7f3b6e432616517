"""From the command line's words to a running app."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import typer

from app.cli.engine_options import with_options
from app.playground import Playground
from app.state.conversation.saved_conversations import saved_conversations
from app.state.settings.interpreters import named_in_settings, register_known
from app.state.settings.paths import conversation_folder, settings_file
from app.state.settings.presets import PRESETS, all_presets
from app.state.settings.settings import ChatOptions, EngineChoice, Settings, SettingsError, load_settings
from engines.backends.registry import BACKENDS
from engines.build.spec import EngineSpec
from engines.plan.hardware.hardware import devices
from engines.plan.hardware.placement import device_of
from engines.plan.precision import PRECISIONS


def start_playground(
    checkpoint: str | None,
    left: str | None,
    right: str | None,
    context: int | None,
    go_on: bool,
    calibration: Path | None = None,
    gpus: int | None = None,
) -> None:
    """Read the settings, apply what was said on the command line, and run until the user quits.

    Raises:
        typer.BadParameter: an engine is not written as BACKEND:PRECISION, or an option cannot be had.
        typer.Exit: the settings file cannot be used.
    """
    settings = in_file = saved_settings()
    changes: dict[str, object] = {}
    if checkpoint:
        changes["checkpoint"] = checkpoint
    if context:
        changes["context"] = context
    if left:
        changes["left"] = parse_engine(left)
    if right:
        changes["right"] = parse_engine(right)
    if changes:
        settings = _replace(settings, changes | {"chosen": True})
    if calibration or gpus:
        left_choice, right_choice = with_options((settings.left, settings.right), calibration, gpus)
        settings = _replace(settings, {"left": left_choice, "right": right_choice, "chosen": True})
    saved = saved_conversations(conversation_folder()) if go_on else []
    Playground(settings, settings_file(), saved[0].path if saved else None, in_file).run()


def saved_settings() -> Settings:
    """What is in the settings file.

    Raises:
        typer.Exit: it cannot be used; where and why has been printed.
    """
    try:
        return load_settings(settings_file())
    except SettingsError as error:
        typer.echo(f"{error}\nCorrect the file or delete it, then start again.", err=True)
        raise typer.Exit(2) from error


def chat_options(preset: str, system: str | None, **changes: float | None) -> ChatOptions:
    """A preset by its name, with what was said beside it.

    Raises:
        typer.BadParameter: there is no such preset.
    """
    presets = PRESETS if preset in PRESETS else all_presets(saved_settings())
    if preset not in presets:
        raise typer.BadParameter(f"There is no preset {preset!r}. There are: {', '.join(presets)}.")
    options = presets[preset]
    said = {name: value for name, value in changes.items() if value is not None}
    return ChatOptions(
        options.system_prompt if system is None else system,
        replace(options.sampling, **said),  # type: ignore[arg-type]
    )


def engine_spec(
    checkpoint: str, engine: str, context: int, calibration: Path | None = None, gpus: int | None = None
) -> EngineSpec:
    """A spec from the words of the command line, from the first device on.

    Raises:
        typer.BadParameter: the engine is not written as BACKEND:PRECISION, or an option cannot be had.
    """
    (choice,) = with_options([parse_engine(engine)], calibration, gpus)
    path = Settings(checkpoint=checkpoint).checkpoint_path
    cpu, *others = devices()
    if BACKENDS[choice.backend].own_environment:
        register_known(named_in_settings())
    device = device_of(choice.backend, cpu, others[0] if others else None)
    return EngineSpec(
        path,
        choice.backend,
        choice.precision,
        device.name,
        choice.kv_precision,
        context,
        options=choice.options,
    )


def parse_engine(text: str) -> EngineChoice:
    """`openvino:int8`, or `openvino:int8:u8` with the precision of the KV cache.

    Raises:
        typer.BadParameter: it is not written like that, or names what does not exist.
    """
    backend, _, rest = text.partition(":")
    precision, _, kv_precision = rest.partition(":")
    if backend not in BACKENDS or precision not in PRECISIONS:
        raise typer.BadParameter(
            f"{text!r} is not BACKEND:PRECISION. Backends: {', '.join(BACKENDS)}. "
            f"Precisions: {', '.join(PRECISIONS)}."
        )
    return EngineChoice(backend, precision, kv_precision or "auto")


def _replace(settings: Settings, changes: dict[str, object]) -> Settings:
    import msgspec

    return msgspec.structs.replace(settings, **changes)
