"""The processes that run a checkpoint's tokenizer and chat template: strangers wrote both.

The host is forked from the worker. It loads the tokenizer, then only forks servers, so that one that hangs
can be killed and replaced at once. A server converts text for the worker. Both have a limit on memory, know
no pipe of the protocol and die with the worker.

Standard library only, Python 3.10 and newer, apart from the tokenizer itself.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import signal
import socket
from array import array
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn

from engines.errors import EngineError, first_line
from engines.worker.parent_death import die_with_parent
from engines.worker.thought_tags import FAMILIES
from engines.worker.tokenizer import Tokenizer

LOAD_BYTES, PROMPT_BYTES = 3_000_000_000, 1_000_000_000
"""Memory beyond what the process has: to load a tokenizer.json of 100 MB; for one prompt."""
MAX_TEXT = 16_000_000
"""Characters of a rendered prompt: 100 times the longest context window's use of memory is refused anyway."""
MAX_TOKEN_TEXT = 1_000
"""Mean characters that a token may have; the longest ones, of spaces, have some hundred."""
IDS, TEXT, ERROR, TOKENIZING = b"I", b"T", b"E", b"S"
"""First byte of a server's reply. TOKENIZING is sent once the chat template has ended, before the reply."""
FORK, KILL = b"F", b"K"
"""First byte of a request to the host: FORK carries the server's end of a socket, after KILL comes a pid."""


def run_host(control: socket.socket, checkpoint: Path, parent: int) -> NoReturn:
    """Load the tokenizer, report it on `control`, then serve FORK and KILL until `control` is closed.

    Call it in a fresh fork; `control` is a SOCK_SEQPACKET.
    """
    try:
        _isolate(control.fileno(), parent)
        _limit_memory(LOAD_BYTES)
        tokenizer = _report(control, checkpoint)
        while tokenizer is not None and _serve_request(control, tokenizer):
            pass
    finally:
        os._exit(0)


def _report(control: socket.socket, checkpoint: Path) -> Tokenizer | None:
    try:
        tokenizer = Tokenizer(checkpoint)
    except BaseException as error:
        control.send(json.dumps({"error": _described(error)}).encode())
        return None
    gc.freeze()  # a collection would write to every page that is shared with the servers
    facts = {
        "stop": sorted(tokenizer.configured_stop_ids)[:1000],
        "chat_template": tokenizer.has_chat_template,
        "thought_tags": [FAMILIES.index(tags) for tags in tokenizer.thought_tags],
        "template_variables": tokenizer.template_variables,
    }
    control.send(json.dumps(facts).encode())
    return tokenizer


def _serve_request(control: socket.socket, tokenizer: Tokenizer) -> bool:
    """Serve one request; returns False at the end of all."""
    request, descriptors, _, _ = socket.recv_fds(control, 64, 1)
    if request[:1] == KILL:
        pid = int(request[1:])
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)  # not waited for yet, so the id is still its own
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        control.send(str(status).encode())
    elif request[:1] == FORK:
        host = os.getpid()
        if (pid := os.fork()) == 0:
            _serve(descriptors[0], tokenizer, host)
        os.close(descriptors[0])
        control.send(str(pid).encode())
    return bool(request)


def _serve(descriptor: int, tokenizer: Tokenizer, host: int) -> NoReturn:
    try:
        _isolate(descriptor, host)
        _limit_memory(PROMPT_BYTES)
        connection = Connection(descriptor)
        while True:
            operation, value = json.loads(connection.recv_bytes())
            _answer(connection, tokenizer, operation, value)
    except BaseException:  # the worker has closed its end; a MemoryError while one is reported
        os._exit(0)


def _answer(connection: Connection, tokenizer: Tokenizer, operation: str, value: object) -> None:
    def tokenize(text: str) -> None:
        if len(text) > MAX_TEXT:
            raise EngineError(
                "prompt-too-long",
                f"The chat template makes {len(text):,} characters of this conversation.",
                f"At most {MAX_TEXT:,} are tokenized: send a shorter prompt, or check the chat template.",
            )
        connection.send_bytes(TOKENIZING)

    operations: dict[str, Callable[..., str | list[int]]] = {
        "prompt_ids": lambda rendered: tokenizer.prompt_ids(rendered[0], rendered[1], tokenize),
        "opened_thought": lambda rendered: tokenizer.opened_thought(rendered[0], rendered[1]),
        "text_ids": tokenizer.text_ids,
        "plain_ids": tokenizer.plain_ids,
        "template_facts": lambda _: json.dumps(tokenizer.template_facts),
        "decode": lambda ids: _decoded(tokenizer, ids),
    }
    try:
        found = operations[operation](value)
        reply = TEXT + found.encode() if isinstance(found, str) else IDS + array("q", found).tobytes()
    except BaseException as error:  # a panic of the Rust library is no Exception
        reply = ERROR + json.dumps(_described(error)).encode()
    connection.send_bytes(reply)


def _decoded(tokenizer: Tokenizer, token_ids: Sequence[int]) -> str:
    text = tokenizer.decode(token_ids)
    if len(text) > MAX_TOKEN_TEXT * (len(token_ids) + 10):
        raise EngineError(
            "tokenizer-failed",
            f"The checkpoint's tokenizer makes {len(text):,} characters of {len(token_ids):,} tokens.",
            "Its tokenizer.json is damaged: download the checkpoint again.",
        )
    return text


def _described(error: BaseException) -> dict[str, str]:
    if isinstance(error, EngineError):
        return {"code": error.code, "message": error.message, "hint": error.hint}
    return {"code": "memory" if isinstance(error, MemoryError) else "failed", "message": first_line(error)}


def _isolate(kept: int, parent: int) -> None:
    """Close all descriptors but the log and `kept`, and die with the parent.

    A copy of the protocol's pipe would keep it open after the worker's end, and one of a GPU's device its
    memory.
    """
    die_with_parent(parent)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.closerange(3, kept)
    os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_memory(allowance: int) -> None:
    """Limit the address space to what the process has, and `allowance` bytes more."""
    with contextlib.suppress(OSError, ValueError):  # not Linux, or a lower limit is set already
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit, hard = pages * resource.getpagesize() + allowance, resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(
            resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard)
        )
