"""Take out of a text what says who wrote it, or lets somebody in: for files that are sent to others."""

from __future__ import annotations

import getpass
import os
import platform
import re
from collections.abc import Iterator
from pathlib import Path

LEAST_SECRET, LEAST_NAME = 8, 3
"""Characters: shorter ones are words, and taking them out would leave holes everywhere."""
COMMON_NAMES = ("root", "user", "ubuntu", "localhost")
"""Names of users and machines that say nothing, and stand in paths and sentences."""
_SECRET_VARIABLE = re.compile(r"TOKEN|SECRET|PASSW|API_?KEY|ACCESS_?KEY|CREDENTIAL", re.IGNORECASE)
_TOKENS = re.compile(
    r"\b(?:hf_|sk-|nvapi-|glpat-|gh[pousr]_|github_pat_|xox[abp]-|AKIA)[\w-]{12,}|\beyJ[\w-]+\.[\w-]+\.[\w-]+"
)
"""As services write them: Hugging Face, OpenAI, NVIDIA, GitLab, GitHub, Slack, AWS; and JSON web tokens."""
_LOGIN = re.compile(r"(?<=://)[^/\s@]+@")
"""User and password within an address."""


def redact(text: str) -> str:
    """The text with home folders, user, machine, tokens and passwords replaced by what they are."""
    # The longest first: one may be the beginning of another, whose rest would stay.
    for secret, meaning in sorted(_secrets(), key=lambda one: len(one[0]), reverse=True):
        text = text.replace(secret, meaning)
    text = _LOGIN.sub("<login>@", _TOKENS.sub("<token>", text))
    for home in sorted({str(Path.home()), str(Path.home().resolve())}, key=len, reverse=True):
        if len(home) > 1:
            text = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)
    for name, meaning in _names():
        text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", meaning, text)
    return text


def _secrets() -> Iterator[tuple[str, str]]:
    for name, value in os.environ.items():
        if len(value) >= LEAST_SECRET and _SECRET_VARIABLE.search(name):
            yield value, f"<{name}>"


def _names() -> Iterator[tuple[str, str]]:
    for name, meaning in ((_user(), "<user>"), (platform.node(), "<machine>")):
        if len(name) >= LEAST_NAME and name.lower() not in COMMON_NAMES:
            yield name, meaning


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's number without a name
        return ""
