"""The pages that textual-serve does not have, and what is changed in the one that it has."""

from __future__ import annotations

from aiohttp import web

DEFAULT_END_MESSAGE = "Session ended."
END_MESSAGE = (
    "This session has ended and its engines are closed. After a restart, F3 lists your conversations."
)
SCRIPT = """<script>
  // The token is in a cookie now: it need not stay in the address bar and the history.
  const here = new URL(window.location.href);
  here.searchParams.delete("token");
  window.history.replaceState(null, "", here);
  // Show why the server closed the connection.
  window.WebSocket = class extends WebSocket {
    constructor(url) {
      super(url);
      this.addEventListener("close", (event) => {
        if (event.reason) document.querySelector(".closed-dialog .message").textContent = event.reason;
      });
    }
  };
</script>
"""
REFUSAL = """<!DOCTYPE html>
<html lang="en">
  <head><title>trt-playground</title></head>
  <body style="font: 16px/1.5 sans-serif; max-width: 40em; margin: 4em auto; padding: 0 1em">
    <h1>{title}</h1>
    {content}
  </body>
</html>
"""
NO_TOKEN = """<p>This page opens with the token of its server only. Open the address that
    <code>trt-playground serve</code> printed in its terminal, or enter the token from its end:</p>
    <form action="/"><input name="token" type="password" autofocus> <button>Open</button></form>"""
WRONG_HOST = """<p>This server does not answer to the host name in the address. Open the address that
    <code>trt-playground serve</code> printed in its terminal, or start it with
    <code>--host NAME</code>.</p>"""


def with_our_parts(page: str) -> str:
    """Return textual-serve's page with this app's last words, and with our script before any other."""
    page = page.replace(DEFAULT_END_MESSAGE, END_MESSAGE)
    return page.replace("<head>", f"<head>\n{SCRIPT}", 1)


def token_required() -> web.Response:
    """Return the page for a request without the token, or with a wrong one."""
    return _refusal("The token is missing or wrong", NO_TOKEN)


def wrong_host() -> web.Response:
    """Return the page for a request that calls the server by a foreign name."""
    return _refusal("Unknown host name", WRONG_HOST)


def _refusal(title: str, content: str) -> web.Response:
    page = REFUSAL.format(title=title, content=content)
    return web.Response(text=page, content_type="text/html", status=web.HTTPForbidden.status_code)
