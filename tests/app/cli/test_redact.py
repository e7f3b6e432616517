"""Identities and credentials are redacted from text that is shared."""

from __future__ import annotations

import getpass
import platform
from pathlib import Path

import pytest

from app.cli.redact import redact

NO_TOKEN = "a token of 12 characters, a hf_short, task-oriented sk-words, eyJust a word"


@pytest.fixture
def ada(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The user `ada` on the machine `analytical-engine`; returns her home folder."""
    home = tmp_path / "ada"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(getpass, "getuser", lambda: "ada")
    monkeypatch.setattr(platform, "node", lambda: "analytical-engine")
    return home


def test_home_user_and_machine_are_redacted(ada: Path) -> None:
    assert redact(f"{ada}/models: missing") == "~/models: missing"
    assert redact(f"{ada}2/models").startswith("/")  # another user's
    assert redact("/data/ada/x on analytical-engine") == "/data/<user>/x on <machine>"
    assert redact("Canada, adapter, ada-lovelace") == "Canada, adapter, ada-lovelace"


def test_common_names_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "root")
    monkeypatch.setattr(platform, "node", lambda: "localhost")
    assert redact("as root on localhost: root cause") == "as root on localhost: root cause"


@pytest.mark.parametrize(
    "secret",
    [
        "hf_AbCdEfGhIjKlMnOpQr",
        "sk-proj-0123456789abcdef",
        "nvapi-0123456789abcdef0123",
        "ghp_0123456789abcdef0123",
        "eyJhbGciOi.eyJzdWIiOiI.SflKxwRJSM",
    ],
)
def test_tokens_are_redacted(secret: str) -> None:
    assert redact(f"header {secret} sent") == "header <token> sent"


def test_words_similar_to_tokens_are_kept() -> None:
    assert redact(NO_TOKEN) == NO_TOKEN


def test_secret_environment_variables_and_logins_are_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRROR_PASSWORD", "correct horse")
    monkeypatch.setenv("SHORT_TOKEN", "abc")
    monkeypatch.setenv("A_SECRET", "horse battery")
    monkeypatch.setenv("B_SECRET", "horse battery staple")
    assert redact("with correct horse: abc") == "with <MIRROR_PASSWORD>: abc"
    assert redact("horse battery staple") == "<B_SECRET>"
    assert redact("https://ada:s3cret@mirror.example/simple") == "https://<login>@mirror.example/simple"
