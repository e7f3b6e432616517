"""Settings of two apps are merged as texts are in version control."""

from __future__ import annotations

import msgspec

from app.state.settings.merge import merge
from app.state.settings.settings import ChatOptions, EngineChoice, Settings
from engines.worker.protocol import Sampling

HOT = Sampling(temperature=1.5)


def merged(base: Settings, mine: Settings, theirs: Settings) -> Settings:
    fields = merge(*(msgspec.to_builtins(one) for one in (base, mine, theirs)))
    return msgspec.convert(fields, Settings)


def test_each_keeps_the_fields_that_it_changed() -> None:
    base = Settings(presets={"x": ChatOptions("x")})
    mine = Settings(theme="nord", left_chat=ChatOptions("mine"), presets={})
    theirs = Settings(
        context=99, left_chat=ChatOptions("", HOT), presets={"x": ChatOptions("x"), "y": ChatOptions("y")}
    )
    assert merged(base, mine, theirs) == Settings(
        theme="nord", context=99, left_chat=ChatOptions("mine", HOT), presets={"y": ChatOptions("y")}
    )


def test_the_same_field_is_as_it_was_changed_last() -> None:
    base, mine, theirs = Settings(), Settings(theme="nord"), Settings(theme="gruvbox")
    assert merged(base, mine, theirs) == mine


def test_an_engine_is_never_put_together_from_two() -> None:
    """There may be no such engine."""
    base = Settings(left=EngineChoice("openvino", "int8"))
    mine = Settings(left=EngineChoice("openvino", "int4"))
    theirs = Settings(left=EngineChoice("pytorch", "fp32"))
    assert merged(base, mine, theirs).left == mine.left


def test_presets_keep_their_order() -> None:
    base = Settings(presets={name: ChatOptions(name) for name in "abc"})
    mine = Settings(presets={"a": ChatOptions("a"), "new": ChatOptions("b"), "c": ChatOptions("c")})
    assert list(merged(base, mine, base).presets) == ["a", "new", "c"]
    theirs = Settings(presets={name: ChatOptions(name) for name in "abcd"})
    assert list(merged(base, mine, theirs).presets) == ["a", "c", "d", "new"]
