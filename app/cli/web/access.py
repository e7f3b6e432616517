"""The token that opens the app in a browser: in the URL once, afterwards in a cookie."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from urllib.parse import quote

from aiohttp import web


class Access:
    """Decides whether a request has the token.

    Attributes:
        token: the token; None admits everyone who can connect.
    """

    def __init__(self, token: str | None, port: int) -> None:
        """Create it for a server on this port."""
        self.token = token
        # Browsers send the cookies of a host to all of its ports, so two servers use two names, and the
        # value does not contain the token.
        self._cookie = f"trt-playground-{port}"
        self._cookie_value = hmac.new(_bytes(token or ""), b"cookie", hashlib.sha256).hexdigest()
        self._ticket: str | None = None

    def path(self) -> str:
        """Return the path of the page with the token."""
        return _path(self.token)

    def path_for_one_use(self) -> str:
        """Return a path that opens the page once: other users can read the command line of a browser."""
        if self.token is None:
            return self.path()
        self._ticket = secrets.token_urlsafe()
        return _path(self._ticket)

    def admits(self, request: web.Request) -> bool:
        """Return whether the request has the token in its query or, without one there, in the cookie."""
        if self.token is None:
            return True
        given = request.query.get("token")
        if given is None:
            return _equal(request.cookies.get(self._cookie, ""), self._cookie_value)
        if self._ticket and _equal(given, self._ticket):
            self._ticket = None
            return True
        return _equal(given, self.token)

    def remember(self, response: web.StreamResponse) -> None:
        """Give an admitted browser the cookie, for as long as it runs."""
        if self.token is not None:
            response.set_cookie(self._cookie, self._cookie_value, httponly=True, samesite="Strict")


def _path(token: str | None) -> str:
    return "/" if token is None else f"/?token={quote(token, safe='')}"


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(_bytes(one), _bytes(other))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
