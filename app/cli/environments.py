"""`trt-playground env`: the environments of backends whose libraries conflict with those of the app."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import completion
from app.cli.output import echo

if TYPE_CHECKING:
    from engines.environments.environment import Environment
    from engines.environments.preflight import Finding
    from engines.environments.recipe import EnvironmentRecipe
    from engines.environments.trial import Trial

environment_commands = typer.Typer(
    help="""Environments of backends whose libraries conflict with those of the app, such as TensorRT-LLM.

    Examples:
      trt-playground env list
      trt-playground env create tensorrt-llm
    """,
    no_args_is_help=True,
)
OTHERS = "`env use` takes an interpreter with any other release, such as that of NVIDIA's container."
Name = Annotated[
    str, typer.Argument(help="The backend: tensorrt-llm.", autocompletion=completion.environments)
]


@environment_commands.command("list")
def list_environments() -> None:
    """List the environments, and delete what interrupted creations left.

    Examples:
      trt-playground env list
    """
    from app.state.settings.interpreters import known_environments, named_in_settings
    from app.state.settings.paths import environment_folder
    from app.units import bytes_text
    from engines.environments.leftovers import sweep

    root = environment_folder()
    if freed := sweep(root):
        echo(f"Deleted what an interrupted `env create` left: {bytes_text(freed)}.")
    unreadable = unreadable_lines(root)
    found = known_environments(named_in_settings())
    for line in [*(environment_lines(found) if found or not unreadable else []), *unreadable]:
        echo(line)


@environment_commands.command("create")
def create_environment(
    name: Name,
    release: Annotated[
        str,
        typer.Option(
            help="Of the library; the default is the newest stable one.",
            autocompletion=completion.environment_releases,
        ),
    ] = "",
    force: Annotated[bool, typer.Option(help="Continue although the pre-flight found problems.")] = False,
) -> None:
    """Create one by the documented steps, after a check of what they need; then replace the old one.

    At its end the library is imported, and one token is sampled if there is an NVIDIA GPU.

    Examples:
      trt-playground env create tensorrt-llm
      trt-playground env create tensorrt-llm --release 1.4.0rc1
    """
    from app.state.settings.paths import environment_folder, log_folder
    from engines.environments.create import create
    from engines.environments.preflight import find_python, preflight
    from engines.environments.recipe import RELEASES
    from engines.errors import EngineError

    recipe, root = _recipe(name, release), environment_folder()
    if release and recipe.release != release:
        known = ", ".join(one.release for one in RELEASES[name])
        echo(f"There is no recipe for {name} {release}. There are: {known}. {OTHERS}", err=True)
        raise typer.Exit(2)
    findings = preflight(recipe, root)
    for line in finding_lines(findings):
        echo(line)
    python = find_python(recipe)
    if python is None or (not force and not all(one.good for one in findings)):
        forced = ", or add --force" if python else ""  # without a Python there is nothing to force
        echo(f"Nothing was downloaded. Fix the items marked ✗{forced}.", err=True)
        raise typer.Exit(1)
    log = log_folder() / f"{name}-environment.log"
    echo(f"Creating it in {root / name}; the log is {log}. Ctrl+C cancels and deletes the new files.")
    try:
        made = create(name, recipe, python, root, log, _report)
    except (EngineError, OSError) as error:
        words = f"{error.message} {error.hint}" if isinstance(error, EngineError) else str(error)
        echo(err=True)
        echo(words, err=True)
        echo("The new files were deleted; what was in use is unchanged.", err=True)
        raise typer.Exit(1) from error
    echo()
    echo(f"Done: {name} {made.version}.")


@environment_commands.command("use")
def use_environment(
    name: Name,
    python: Annotated[Path, typer.Argument(help="An interpreter that has the library.")],
) -> None:
    """Use an existing interpreter. Its files are never changed or deleted.

    Any that can import the library will do, also that of a container: start the app inside NVIDIA's
    nvcr.io/nvidia/tensorrt-llm/release:<tag> (with --gpus all --ipc host), and there use its own python3.

    Examples:
      trt-playground env use tensorrt-llm ~/trtllm/bin/python
      trt-playground env use tensorrt-llm python3
    """
    from app.state.settings.interpreters import named_environment
    from app.state.settings.paths import environment_folder
    from engines.environments.environment import save

    _recipe(name)
    found = named_environment(name, str(python))
    if found.problem:
        echo(f"{found.problem}.", err=True)
        raise typer.Exit(1)
    save(environment_folder(), found)
    echo(f"{name} {found.version} now runs with {found.python}.")


@environment_commands.command("check")
def check_environment(
    name: Name = "tensorrt-llm",
    seconds: Annotated[float, typer.Option(help="How long it may do nothing.", min=1)] = 120.0,
    run: Annotated[
        bool, typer.Option("--run", help="Sample a token too: minutes, and an NVIDIA GPU.")
    ] = False,
) -> None:
    """Check an environment: its files, what the adapter uses of it, and an import. Exit code 1 if broken.

    With --run, sample a token of the demo checkpoint too: some kernels are compiled only then, which needs
    the CUDA toolkit. Without an environment, print what `env create` would need.

    Examples:
      trt-playground env check
      trt-playground env check tensorrt-llm --seconds 300
      trt-playground env check --run
    """
    from app.state.settings.interpreters import known_environments, named_in_settings
    from app.state.settings.paths import environment_folder
    from engines.environments.preflight import preflight

    recipe, root = _recipe(name), environment_folder()
    known = known_environments(named_in_settings())
    found = next((one for one in known if one.name == name), None)
    if found is None:
        echo(f"There is no environment for {name}. What `env create` needs:")
        for line in finding_lines(preflight(recipe, root)):
            echo(line)
        raise typer.Exit(1)
    lines, good = check_lines(found, seconds, run)
    for line in lines:
        echo(line)
    raise typer.Exit(0 if good else 1)


@environment_commands.command("remove")
def remove_environment(name: Name) -> None:
    """Delete one, also one that this release cannot read; the files of an interpreter set by `use` stay.

    Examples:
      trt-playground env remove tensorrt-llm
    """
    from app.state.settings.paths import environment_folder
    from engines.environments.environment import remove

    try:
        removed = remove(environment_folder(), name)
    except OSError as error:
        echo(f"{name} cannot be deleted: {error}", err=True)
        raise typer.Exit(1) from error
    if not removed:
        echo(f"There is no environment for {name}. `trt-playground env list` lists them.", err=True)
        raise typer.Exit(1)
    echo(f"Removed {name}.")


def environment_lines(found: list[Environment]) -> list[str]:
    """Return a line for each environment."""
    if not found:
        return ["no environments: `trt-playground env create tensorrt-llm` creates one"]
    return [
        f"{one.name} {one.version}  {one.problem or 'OK'}, "
        f"{'managed' if one.managed else 'yours'}, "
        f"{'builds TensorRT engines' if one.builds_engines else 'PyTorch-based LLM API only'}  {one.python}"
        for one in found
    ]


def unreadable_lines(root: Path) -> list[str]:
    """Return a line for each folder that no backend uses, with its size and what to do about it."""
    from app.units import bytes_text
    from engines.build.folders import folder_bytes
    from engines.environments.leftovers import without_record

    return [
        f"{folder.name}  unreadable (another release, damaged, or interrupted), "
        f"{bytes_text(folder_bytes(folder))}: delete it with `trt-playground env remove {folder.name}`"
        for folder in without_record(root)
    ]


def check_lines(environment: Environment, idle_seconds: float, run: bool = False) -> tuple[list[str], bool]:
    """Return what its files, the names that the adapter uses and its import show, and whether it works.

    Args:
        idle_seconds: how long the library may neither compute nor read.
        run: whether to sample a token too.
    """
    from engines.environments.contract import broken, check
    from engines.environments.trial import try_import, try_sampling

    name = environment.name
    if environment.problem:
        made = f"Recreate it: `trt-playground env create {name}`."
        remedy = made if environment.managed else f"Name another with `env use {name} PYTHON`, or on F6."
        return [f"✗ {name} is broken: {environment.problem}. {remedy}"], False
    verdicts = check(Path(environment.package))
    bad = broken(verdicts)
    lines = [f"{'✗' if one in bad else '·'} {one.words}" for one in verdicts if one.state != "present"]
    present = sum(one.state == "present" for one in verdicts)
    lines.append(f"contract of {name} {environment.version}: {present} of {len(verdicts)} names present")
    recipe = _recipe(name, environment.version)
    trials = [try_import(environment.python, recipe.module, idle_seconds)]
    if run and trials[0].good:
        trials.append(try_sampling(environment.python, recipe, idle_seconds=idle_seconds))
    for one in trials:
        lines += trial_lines(one)
    return lines, all(one.good for one in trials) and not bad


def trial_lines(trial: Trial) -> list[str]:
    """Return what an attempt showed; of one that failed also the end of its output."""
    mark = "·" if trial.skipped else "✓" if trial.good else "✗"
    return [f"{mark} {trial.words}", *([] if trial.good else trial.detail.splitlines())]


def finding_lines(findings: list[Finding]) -> list[str]:
    """Return a line for each finding of a pre-flight, and one for its remedy."""
    lines = []
    for one in findings:
        lines.append(f"{'✓' if one.good else '✗'} {one.subject:<7} {one.words}")
        if not one.good:
            lines.append(f"          {one.remedy}")
    return lines


def _recipe(name: str, release: str = "") -> EnvironmentRecipe:
    """Return the recipe of a release, or the default one: an interpreter of the user may have any release."""
    from engines.environments.recipe import RECIPES, RELEASES

    if name not in RECIPES:
        echo(f"There is no recipe for {name!r}. There is: {', '.join(RECIPES)}.", err=True)
        raise typer.Exit(2)
    return next((one for one in RELEASES[name] if one.release == release), RECIPES[name])


def _report(step: str, line: str) -> None:
    shown = line if step == "sample" else line[:100]
    echo(f"{step:<8} {shown}" if line else f"{step} …")
