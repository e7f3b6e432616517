"""Read keys and header values from where they are kept, and remove them from texts.

A key is never part of an exception, a log line or a message.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from engines.build.server import HEADERS, KEY, SOURCES, check_header, check_source
from engines.build.spec import EngineSpec
from engines.errors import EngineError

LARGEST_KEY = 16_384
"""Bytes; tokens of cloud services have a few thousand."""
REMOVED = "[key]"
SHORTEST = 4
"""Characters of a value that is removed from texts; a shorter one occurs in ordinary words."""


class Credentials:
    """The request headers of a server, and the secret values among them."""

    def __init__(self, headers: dict[str, str], secrets: Iterable[str], *, has_key: bool) -> None:
        self.headers, self.has_key = headers, has_key
        self._secrets = sorted((one for one in secrets if len(one) >= SHORTEST), key=len, reverse=True)

    def removed_from(self, text: str) -> str:
        """Return a text, such as a server's message, without the secrets."""
        for secret in self._secrets:
            text = text.replace(secret, REMOVED)
        return text

    def __repr__(self) -> str:
        """Name the headers only."""
        return f"Credentials({', '.join(self.headers)})"


def read_credentials(spec: EngineSpec) -> Credentials:
    """Return what the requests to a spec's server carry.

    Raises:
        EngineError: `no-key`: it is not where the spec says, or cannot be sent in a header.
    """
    headers: dict[str, str] = {}
    secrets = []
    key = spec.options.get(KEY, "")
    check_source(key)
    if key:
        value = _read(key)
        headers["Authorization"] = f"Bearer {value}"
        secrets.append(value)
    for line in filter(None, spec.options.get(HEADERS, "").split("\n")):
        name, value = check_header(line)
        if value.partition(":")[0] in SOURCES:
            value = _read(value)
            secrets += [value, value.rpartition(" ")[2]]
        headers[name] = value
    return Credentials(headers, secrets, has_key=bool(secrets))


def _read(source: str) -> str:
    kind, _, name = source.partition(":")
    reader = {"env": _from_environment, "file": _from_file, "keyring": _from_keyring}[kind]
    value = reader(name).strip()
    if not value:
        raise _missing(source, "it is empty")
    if not value.isascii() or not value.isprintable():
        raise _missing(source, "it has characters that no HTTP header can have")
    return value


def _from_environment(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise _missing(f"env:{name}", "the environment variable is not set")
    return value


def _from_file(name: str) -> str:
    path = Path(name).expanduser()
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_KEY + 1)
    except OSError as error:
        raise _missing(f"file:{name}", f"the file cannot be read ({error.strerror})") from None
    if len(data) > LARGEST_KEY:
        raise _missing(f"file:{name}", f"the file is larger than {LARGEST_KEY:,} bytes")
    return data.decode("utf-8", "replace")


def _from_keyring(name: str) -> str:
    service, _, user = name.partition("/")
    if find_spec("keyring") is None:
        raise EngineError(
            "no-key",
            "The package keyring is not installed.",
            "Install it (pip install keyring), or keep the key in an environment variable or a file.",
        )
    import keyring

    try:
        value = keyring.get_password(service, user or "trt-playground")
    except Exception as error:  # each of its stores has its own exceptions
        raise _missing(f"keyring:{name}", f"the keyring cannot be opened ({type(error).__name__})") from None
    if value is None:
        raise _missing(f"keyring:{name}", "the keyring has no such entry")
    return str(value)


def _missing(source: str, why: str) -> EngineError:
    return EngineError("no-key", f"The key {source} cannot be used: {why}.", "Set it, then try again.")
