"""A script that `EngineProcess.start` takes for a Python interpreter, and that runs another worker."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def interpreter_script(folder: Path, module: str, *arguments: str) -> str:
    """Write a script that runs a module, with its own arguments before an interpreter's; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / f"{module.rpartition('.')[2]}-python"
    command = shlex.join([sys.executable, "-m", module, *arguments])
    program.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(PROJECT))} exec {command} "$@"\n', "utf-8")
    program.chmod(0o755)
    return str(program)


def run_worker() -> None:
    """Run the real worker in the module that the script has started."""
    from engines.worker.__main__ import main

    # The arguments before --backend are meant for a Python interpreter.
    sys.argv[1:] = sys.argv[sys.argv.index("--backend") :]
    main()
