"""Arguments of the command line as objects: an engine, its spec, and the options of a chat."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import typer
from msgspec import structs

from app.cli.engine_options import with_options
from app.cli.output import echo
from app.state.prepare.engine_spec import engine_spec as spec_of
from app.state.prepare.engine_speeds import fastest, read_speeds
from app.state.prepare.gguf_choice import gguf_checkpoint, gguf_choice
from app.state.prepare.side_gpu import gpu_of
from app.state.settings.interpreters import named_in_settings, register_known
from app.state.settings.paths import settings_file
from app.state.settings.presets import PRESETS, all_presets
from app.state.settings.settings import (
    ChatOptions,
    EngineChoice,
    Server,
    Settings,
    SettingsError,
    load_settings,
)
from engines.backends.registry import BACKENDS, LOCAL
from engines.build.options import with_origin
from engines.build.server import REMOTE, SERVED, server_spec
from engines.build.spec import TARGET, EngineSpec
from engines.errors import EngineError, error_text
from engines.gguf.model_file import is_gguf
from engines.plan.checkpoint.checkpoint import read_checkpoint
from engines.plan.gguf_formats import GGUF_BACKEND, is_precision
from engines.plan.hardware.hardware import cpu, devices
from engines.plan.hardware.placement import device_of
from engines.plan.hardware.targets import capability_of, target_name
from engines.plan.precision import PRECISIONS

DEFAULT_ENGINE = "openvino:int8"


def saved_settings() -> Settings:
    """Return the settings of the settings file; without one, the fastest engine on the left if it is known.

    Raises:
        typer.Exit: the file cannot be used; the reason and the path have been printed.
    """
    try:
        settings = load_settings(settings_file())
    except SettingsError as error:
        echo(str(error), err=True)
        echo("Correct the file or delete it, then try again.", err=True)
        raise typer.Exit(2) from error
    if settings_file().exists():
        return settings
    best = fastest(read_speeds(cpu()))
    return structs.replace(settings, left=EngineChoice(best.backend, best.precision)) if best else settings


def chat_options(preset: str, system_prompt: str | None, **sampling: float | None) -> ChatOptions:
    """Return the options of a preset, with those that are not None replaced.

    Raises:
        typer.BadParameter: there is no such preset.
    """
    presets = PRESETS if preset in PRESETS else all_presets(saved_settings())
    if preset not in presets:
        message = f"Unknown preset {preset!r}. Available: {', '.join(presets)}."
        raise typer.BadParameter(message, param_hint="--preset")
    options = presets[preset]
    changes = {name: value for name, value in sampling.items() if value is not None}
    return ChatOptions(
        options.system_prompt if system_prompt is None else system_prompt,
        replace(options.sampling, **changes),  # type: ignore[arg-type]
    )


def engine_spec(
    checkpoint: str,
    engine: str | None,
    context: int,
    calibration: Path | None = None,
    gpus: int | None = None,
    *,
    default: str = DEFAULT_ENGINE,
) -> EngineSpec:
    """Return the spec of an engine on the default device of its backend.

    Args:
        engine: None for `default`, or for that of a GGUF file.

    Raises:
        typer.BadParameter: `engine` is not BACKEND:PRECISION, or an option cannot be used.
    """
    named = parse_engine(engine) if engine else gguf_choice(checkpoint) or parse_engine(default)
    (choice,) = with_options([named], calibration, gpus)
    cpu, *others = devices()
    if BACKENDS[choice.backend].own_environment:
        register_known(named_in_settings())
    settings = Settings(checkpoint=checkpoint, context=context)
    spec = spec_of(settings, choice, cpu, gpu_of("left", choice.device, others, choice.gpus))
    return with_origin(spec, gguf_checkpoint(checkpoint))


def for_target(spec: EngineSpec, target: str | None) -> EngineSpec:
    """Return the spec of an engine for GPUs of the architecture `target`; None for this machine's GPU.

    Raises:
        typer.BadParameter: the architecture is unknown, or the backend's engines depend on none.
    """
    if target is None:
        return spec
    entry = BACKENDS[spec.backend]
    if not entry.fixed_shape:
        raise typer.BadParameter(f"{entry.title} engines are not built for one GPU.", param_hint="--for")
    try:
        name = target_name(capability_of(target))
    except EngineError as error:
        raise typer.BadParameter(error_text(error), param_hint="--for") from error
    device = spec.device if spec.device != "cpu" else "cuda:0"
    return replace(spec, device=device, options=spec.options | {TARGET: name})


def parse_engine(text: str) -> EngineChoice:
    """Parse `openvino:int8`, with the precision of the KV cache `openvino:int8:u8`, with the GPU
    `compiled:int8@cuda:1`, `endpoint:URL`, or the path of a GGUF file.

    Raises:
        typer.BadParameter: the text has another form, names an unknown backend, precision or GPU, or a file
            that cannot be read.
    """
    if text.partition(":")[0] == REMOTE:
        return _parse_server(text.partition(":")[2])
    if is_gguf(Path(text)):
        return _parse_file(text)
    engine, at, device = text.partition("@")
    backend, _, rest = engine.partition(":")
    precision, _, kv_precision = rest.partition(":")
    if backend not in LOCAL or not is_precision(precision):
        raise typer.BadParameter(
            f"{text!r} is not BACKEND:PRECISION, such as openvino:int8. Backends: {', '.join(LOCAL)}. "
            f"Precisions: {', '.join(PRECISIONS)}. A server is endpoint:URL, a GGUF file its path."
        )
    choice = EngineChoice(backend, precision, kv_precision or "auto", device=device)
    if at:
        _check_gpu(choice, text)
    return choice


def _parse_file(text: str) -> EngineChoice:
    path = Path(text).expanduser().absolute()
    try:
        precision = read_checkpoint(path).gguf_precision
    except EngineError as error:
        raise typer.BadParameter(f"{text}: {error_text(error)}") from error
    return EngineChoice(GGUF_BACKEND, precision, checkpoint=str(path))


def _check_gpu(choice: EngineChoice, text: str) -> None:
    """Check that this machine has the chosen GPU, and that the backend runs on it.

    Raises:
        typer.BadParameter: it has not.
    """
    cpu, *gpus = devices()
    found = next((gpu for gpu in gpus if gpu.name == choice.device), None)
    if found is None:
        names = ", ".join(gpu.name for gpu in gpus) or "none"
        message = f"{text!r}: this machine lacks GPU {choice.device!r}. GPUs: {names}."
        raise typer.BadParameter(message)
    if device_of(choice.backend, cpu, found) is cpu:
        raise typer.BadParameter(f"{text!r}: {BACKENDS[choice.backend].title} runs on the CPU here.")


def _parse_server(text: str) -> EngineChoice:
    """Parse `URL`, `URL,model=NAME,key=env:NAME,header=NAME:env:NAME`, or the name of a saved server.

    There may be several headers; they are added to those of a saved server.

    Raises:
        typer.BadParameter: it is none of these.
    """
    address, *options = text.split(",")
    given = [one.partition("=")[::2] for one in options]
    fields = {name: value for name, value in given if name != "header"}
    if unknown := fields.keys() - {"model", "key"}:
        names = ", ".join(sorted(unknown))
        raise typer.BadParameter(f"A server has a model, a key and headers, not {names!r}.")
    saved = {} if "/" in address or ":" in address else saved_settings().servers
    server = saved.get(address, Server(address))
    headers = (*server.headers, *(value for name, value in given if name == "header"))
    server = structs.replace(server, headers=headers, **fields)
    try:
        server_spec(server.address, server.model, server.key, server.headers)
    except EngineError as error:
        raise typer.BadParameter(error_text(error)) from error
    return EngineChoice(REMOTE, SERVED, server=server)
