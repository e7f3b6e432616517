"""Redact identities and credentials from text that is shared."""

from __future__ import annotations

import getpass
import os
import platform
import re
from collections.abc import Iterator
from pathlib import Path

MIN_SECRET_LENGTH, MIN_NAME_LENGTH = 8, 3
"""Characters. Shorter ones may be ordinary words; replacing them would make the text unreadable."""
COMMON_NAMES = ("root", "user", "ubuntu", "localhost")
"""Names of users and machines that identify no person, and that occur in paths and sentences."""
_SECRET_VARIABLE = re.compile(r"TOKEN|SECRET|PASSW|API_?KEY|ACCESS_?KEY|CREDENTIAL", re.IGNORECASE)
_TOKENS = re.compile(
    r"\b(?:hf_|sk-|nvapi-|glpat-|gh[pousr]_|github_pat_|xox[abp]-|AKIA)[\w-]{12,}|\beyJ[\w-]+\.[\w-]+\.[\w-]+"
)
"""Tokens of Hugging Face, OpenAI, NVIDIA, GitLab, GitHub, Slack and AWS, and JSON web tokens."""
_LOGIN = re.compile(r"(?<=://)[^/\s@]+@")
"""User and password in a URL."""


def redact(text: str) -> str:
    """Return the text with home folders, user and machine names, tokens and passwords replaced.

    Home folders become `~`, values of secret environment variables `<VARIABLE>`, and the rest `<token>`,
    `<login>`, `<user>` or `<machine>`.
    """
    # Longest first: if one secret starts with another, replacing the short one would leave the rest.
    for secret, placeholder in sorted(_secrets(), key=lambda pair: len(pair[0]), reverse=True):
        text = text.replace(secret, placeholder)
    text = _LOGIN.sub("<login>@", _TOKENS.sub("<token>", text))
    for home in sorted({str(Path.home()), str(Path.home().resolve())}, key=len, reverse=True):
        if len(home) > 1:
            text = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)
    for name, placeholder in _names():
        text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", placeholder, text)
    return text


def _secrets() -> Iterator[tuple[str, str]]:
    for name, value in os.environ.items():
        if len(value) >= MIN_SECRET_LENGTH and _SECRET_VARIABLE.search(name):
            yield value, f"<{name}>"


def _names() -> Iterator[tuple[str, str]]:
    for name, placeholder in ((_user(), "<user>"), (platform.node(), "<machine>")):
        if len(name) >= MIN_NAME_LENGTH and name.lower() not in COMMON_NAMES:
            yield name, placeholder


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a numeric user id without a name, as in containers
        return ""
