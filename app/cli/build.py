"""`trt-playground engines build`: build an engine without loading it, also for the GPU of another machine."""

from __future__ import annotations

from app.cli.output import echo
from app.cli.step_output import print_step
from app.state.prepare.engine_titles import stored_title
from app.state.settings.paths import engine_store, log_folder
from app.units import bytes_text, seconds_text
from engines.build.prepare import prepare
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.environments.start import start_worker
from engines.errors import EngineError, error_text
from engines.worker.log_files import log_file


async def build(spec: EngineSpec) -> int:
    """Build the engine, or find it in the store, and print its fingerprint and size.

    Returns:
        The exit code: 0, or 1 if it cannot be built; the reason is on stderr.
    """
    try:
        process = await start_worker(spec.backend, log_file(log_folder(), "build"))
        try:
            prepared = await prepare(spec, EngineStore(engine_store()), process, print_step)
        finally:
            await process.close()
    except EngineError as error:
        echo(error_text(error), err=True)
        return 1
    if prepared.stored is None:
        echo(f"{stored_title(prepared.spec)} builds nothing: it loads the checkpoint.")
        return 0
    done = "Already built" if prepared.reused else f"Built in {seconds_text(prepared.seconds)}"
    size = bytes_text(prepared.stored.size)
    echo(f"{done}: {stored_title(prepared.spec)}, {size}, {prepared.fingerprint}")
    return 0
