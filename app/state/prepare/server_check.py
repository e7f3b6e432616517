"""Ask a server what it is before it is chosen."""

from __future__ import annotations

from pathlib import Path

from app.state.settings.settings import Server
from engines.build.prepare import StartWorker
from engines.build.server import REMOTE, server_spec
from engines.worker import protocol
from engines.worker.request import request


async def contact(server: Server, start_worker: StartWorker, log: Path) -> protocol.ServerFacts:
    """Return what a server reports; its worker ends with the call.

    Raises:
        EngineError: it cannot be used, with the next step.
    """
    spec = server_spec(server.address, server.model, server.key, server.headers)
    process = await start_worker(REMOTE, log)
    try:
        command = protocol.Contact(process.next_id(), spec.to_json())
        return (await request(process, command, protocol.Contacted)).server
    finally:
        await process.kill()
