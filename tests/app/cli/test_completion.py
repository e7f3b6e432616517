"""Shell completion: what is offered, and the script that bash is given, in a real bash."""

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
    """What bash has to choose from when Tab is pressed at the end of `line`."""
    script = PRESS_TAB.format(folder=Path(COMMAND).parent, line=line)
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    words = [str(shutil.which("bash")), "--norc", "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
    assert done.stderr == ""
    return [word for word in done.stdout.split("\n") if word]


def completed(line: str, shell: str = "complete_fish") -> str:
    """What the program answers to the completion script of a shell."""
    environment = {
        **os.environ,
        "_TRT_PLAYGROUND_COMPLETE": shell,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_ARGS": line,
    }
    return subprocess.run([COMMAND], capture_output=True, text=True, check=True, env=environment).stdout


@pytest.fixture
def conversation() -> None:
    """One whose title would be a program, if a shell took it for one."""
    file, said = ConversationFile(conversation_folder()), Conversation()
    said.add(still.turn("left", 'Rome [/b] $(touch "owned") `x`: \\"; touch owned; \\'))
    file.append_turn("left", said)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_commands_and_names(conversation: None) -> None:
    """The real script in a real bash: also behind a colon, where bash breaks words."""
    assert tab("trt-playground con") == ["conversations"]
    assert tab("trt-playground env create ") == ["tensorrt-llm"]
    assert tab("trt-playground conversations show ") == ["1"]
    assert tab("trt-playground -m d") == ["demo"]
    assert "openvino:int8" in tab("trt-playground --left ")
    assert tab("trt-playground --left openvino:int4") == ["int4"]
    assert set(tab("trt-playground --left=openvino:b")) == {"bf16"}
    assert "pytorch:bf16" in tab('trt-playground ask "What is that?" --engine py')


def test_checkpoints_of_the_hub_cache(own_folders: Path) -> None:
    """By their ids, beside the demo."""
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
    """Ours and the user's, but for names that a shell would take apart; an empty store offers nothing."""
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
def test_titles_are_words_and_nothing_else(conversation: None, shell: str) -> None:
    """What was asked may have been pasted from anywhere, and zsh evaluates what it is given."""
    offered = completed("trt-playground conversations show ", shell)
    assert "Rome" in offered
    assert not set("$`\\;[") & set(offered.replace("_arguments", "").replace("'*: :", ""))


def test_every_shell_has_a_script() -> None:
    for shell in ("bash", "zsh", "fish"):
        environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
        words = [COMMAND, "--show-completion", shell]
        done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
        assert "_TRT_PLAYGROUND_COMPLETE" in done.stdout
    assert run("--help").stdout.count("--install-completion") == 1


def test_a_tab_imports_little(conversation: None) -> None:
    """It is pressed often: no Textual, no torch, nothing of an engine."""
    code = """
import sys
from app.cli import completion
for offer in (completion.checkpoints, completion.engines, completion.presets, completion.environments,
              completion.built_engines, completion.conversations):
    offer()
import app.cli.main
heavy = {"torch", "textual", "transformers", "openvino", "numpy", "psutil"}
print(heavy & {name.partition(".")[0] for name in sys.modules})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
