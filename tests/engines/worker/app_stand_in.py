"""A minimal app in a separate process, which a test can kill.

`python -m tests.engines.worker.app_stand_in SCRATCH CHECKPOINT [BACKEND]` starts a worker, or, if a backend
is given, the build of an engine. It writes the worker's process id to SCRATCH/pid and sleeps.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from engines.build.prepare import Step, prepare
from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.worker import protocol
from engines.worker.process import EngineProcess


async def main(scratch: Path, checkpoint: str, backend: str = "") -> None:
    """Start the worker or the build, write its process id, and sleep."""
    workers: list[EngineProcess] = []

    async def start(name: str, log: Path) -> EngineProcess:
        workers.append(await EngineProcess.start(name, log))
        return workers[-1]

    if backend:
        building = asyncio.Event()

        def take(step: Step) -> None:
            if isinstance(step, protocol.Stage):
                os.kill(workers[0].pid, signal.SIGSTOP)
                building.set()

        worker = await start(backend, scratch / "log")
        spec = EngineSpec(checkpoint, backend, "int8")
        build = asyncio.create_task(prepare(spec, EngineStore(scratch / "store"), worker, take))
        await building.wait()
        assert not build.done()
    else:
        worker = await start("pytorch", scratch / "log")
        await worker.ask(protocol.Describe(1))
    (scratch / "pid.new").write_text(str(workers[0].pid))
    (scratch / "pid.new").rename(scratch / "pid")
    await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
