"""The good checkpoint that the cases damage."""

from __future__ import annotations

from tests.engines.conftest import tiny_llama

__all__ = ["tiny_llama"]
