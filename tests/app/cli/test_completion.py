"""Shell completion: the values that are offered, and the bash script in a real bash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.state.conversation.conversation import Conversation
from app.state.conversation.conversation_file import ConversationFile
from app.state.settings.paths import conversation_folder, settings_file
from app.state.settings.settings import ChatOptions, Settings, save_settings
from tests.app import still
from tests.app.cli.test_main import COMMAND, run

PRESS_TAB = r"""
PATH="{folder}:$PATH"
eval "$(trt-playground --show-completion bash)"
COMP_LINE={line!r}
COMP_POINT=${{#COMP_LINE}}
_trt_playground_completion trt-playground
printf '%s\n' "${{COMPREPLY[@]}}"
"""


def tab(line: str) -> list[str]:
    """Return the candidates in bash when Tab is pressed at the end of `line`."""
    script = PRESS_TAB.format(folder=Path(COMMAND).parent, line=line)
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    command = [str(shutil.which("bash")), "--norc", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stderr == ""
    return [word for word in done.stdout.split("\n") if word]


def completed(line: str, shell: str = "complete_fish") -> str:
    """Return what the program prints for the completion script of a shell."""
    environment = {
        **os.environ,
        "_TRT_PLAYGROUND_COMPLETE": shell,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_ARGS": line,
    }
    return subprocess.run([COMMAND], capture_output=True, text=True, check=True, env=environment).stdout


@pytest.fixture
def conversation() -> None:
    """A conversation whose title contains shell commands."""
    file, said = ConversationFile(conversation_folder()), Conversation()
    said.add(still.turn("left", 'Rome [/b] $(touch "owned") `x`: \\"; touch owned; \\'))
    file.append_turn("left", said)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_commands_and_names(conversation: None) -> None:
    """Also after a colon, where bash splits words."""
    assert tab("trt-playground con") == ["conversations"]
    assert tab("trt-playground env create ") == ["tensorrt-llm"]
    assert tab("trt-playground conversations show ") == ["1"]
    assert tab("trt-playground -m d") == ["demo"]
    assert "openvino:int8" in tab("trt-playground --left ")
    assert tab("trt-playground --left openvino:int4") == ["int4", "int4-awq"]
    assert set(tab("trt-playground --left=openvino:b")) == {"bf16"}
    assert "pytorch:bf16" in tab('trt-playground ask "What is that?" --engine py')


def test_checkpoints_of_the_hub_cache(own_folders: Path) -> None:
    """Hub ids are offered after the demo."""
    model = own_folders / "hub" / "hub" / "models--org--talker"
    snapshot = model / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("a" * 40)
    (snapshot / "config.json").write_text("{}")
    (snapshot / "model.safetensors").write_bytes(b"weights")
    assert completed("trt-playground serve -m ").splitlines() == [
        "demo\tships with the project",
        "org/talker\thub cache",
    ]
    assert completed("trt-playground ask Hello -m org").startswith("org/talker")


def test_presets_and_built_engines() -> None:
    """Built-in and saved presets, without names that need quoting; an empty store offers no engines."""
    presets = {"Pirate": ChatOptions("Arr"), "Two words": ChatOptions(), "$(owned)": ChatOptions()}
    save_settings(settings_file(), Settings(presets=presets))
    offered = completed("trt-playground ask Hello --preset ").splitlines()
    assert "Pirate\tyours" in offered
    assert "Greedy" in offered
    assert not [line for line in offered if "owned" in line or "words" in line]
    assert completed("trt-playground engines rm ").strip() == ""
    settings_file().write_text("context = 'long'")
    assert "Greedy" in completed("trt-playground ask Hello --preset G")


@pytest.mark.parametrize("shell", ["complete_fish", "complete_zsh"])
def test_titles_contain_no_shell_characters(conversation: None, shell: str) -> None:
    """zsh evaluates completions, and a title may contain pasted text."""
    offered = completed("trt-playground conversations show ", shell)
    assert "Rome" in offered
    assert not set("$`\\;[") & set(offered.replace("_arguments", "").replace("'*: :", ""))


def test_every_shell_has_a_script() -> None:
    for shell in ("bash", "zsh", "fish"):
        environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
        command = [COMMAND, "--show-completion", shell]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        assert "_TRT_PLAYGROUND_COMPLETE" in done.stdout
    assert run("--help").stdout.count("--install-completion") == 1


def test_completion_imports_no_heavy_library(conversation: None) -> None:
    """It runs at every press of Tab: no Textual, torch or other library of a backend."""
    code = """
import sys
from app.cli import completion
for offer in (completion.checkpoints, completion.engines, completion.presets, completion.environments,
              completion.built_engines, completion.conversations):
    offer()
import app.cli.main
heavy = {"torch", "textual", "transformers", "openvino", "onnxruntime", "numpy", "psutil"}
print(heavy & {name.partition(".")[0] for name in sys.modules})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
