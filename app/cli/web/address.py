"""The address that the server listens on, and the names that a browser may call it by."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass

HOST_HEADER = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[\w.-]+)(?P<port>:\d{1,5})?", re.ASCII)
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "[::1]")
NO_SUCH_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


@dataclass(frozen=True)
class Address:
    """A host and its socket addresses.

    Attributes:
        host: as the user named it, in lower case and without brackets; empty: every address.
        found: family and socket address of each.
        port: TCP port; 0 until `listen` has chosen one.
    """

    host: str
    found: tuple[tuple[socket.AddressFamily, tuple[str | int, ...]], ...]
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return all(_is_loopback(str(address[0])) for _, address in self.found)

    @property
    def netloc(self) -> str:
        """HOST:PORT as in a URL."""
        hosts = {str(address[0]) for _, address in self.found}
        host = socket.gethostname() if hosts & {"0.0.0.0", "::"} else self.host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    def own_netloc(self, headers: Sequence[str]) -> str | None:
        """Return HOST[:PORT] of a request's Host headers; None if this server has another name.

        A page of another site can let its own name point here (DNS rebinding). The browser then takes it for
        the same site, but it still sends that name. The port is not compared: `ssh -L` forwards another one.
        """
        match = HOST_HEADER.fullmatch(headers[0].lower()) if len(headers) == 1 else None
        if match is None:
            return None
        name = match["name"].strip("[]").rstrip(".")
        return match[0] if self._has_name(name) else None

    def _has_name(self, name: str) -> bool:
        if name in ("localhost", self.host):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return not self.is_loopback and name in {socket.gethostname().lower(), socket.getfqdn().lower()}
        # A literal address does not come from a name server.
        return not self.is_loopback or _is_loopback(name)

    def origins(self, own_netloc: str) -> set[str]:
        """Return the origins whose pages may connect, for a request that named the server `own_netloc`."""
        loopback = {f"http://{host}:{self.port}" for host in LOOPBACK_HOSTS}
        return {f"http://{own_netloc}", *(loopback if self.is_loopback else ())}


def resolve(host: str, port: int) -> Address:
    """Return the address that a host name, an IPv4 or an IPv6 address resolves to.

    Raises:
        OSError: the name is unknown.
        ValueError: it cannot be a name.
    """
    host = host.strip("[]").lower()
    # A name is looked up once: it cannot mean loopback now and another address when the server listens.
    infos = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    found = dict.fromkeys((info[0], (str(info[4][0]), *info[4][1:])) for info in infos)
    return Address(host, tuple(found), port)


def listen(address: Address) -> tuple[Address, list[socket.socket]]:
    """Listen on all of an address; returns it with its port, and the sockets.

    Raises:
        OSError: the port is taken, or the address is none of this machine.
    """
    port, sockets, missing = address.port, list[socket.socket](), None
    for family, (name, _, *rest) in address.found:
        try:
            sockets.append(socket.create_server((name, port, *rest), family=family))
        except OSError as error:
            # `localhost` also resolves to ::1 on machines without IPv6. A port that another program has
            # taken on one of the addresses is another matter: a browser may go there, with the token.
            if error.errno not in NO_SUCH_ADDRESS:
                for one in sockets:
                    one.close()
                raise
            missing = error
        else:
            port = sockets[-1].getsockname()[1]
    if missing and not sockets:
        raise missing
    return Address(address.host, address.found, port), sockets


def _is_loopback(name: str) -> bool:
    address = ipaddress.ip_address(name)
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
