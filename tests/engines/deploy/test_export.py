"""What an export writes: names of checkpoints run no code, and every file parses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from engines.build.spec import EngineSpec
from engines.build.store import EngineStore
from engines.demo import CHECKPOINT
from engines.deploy.export import export_server, served_engine
from engines.deploy.served import ServerSize
from engines.errors import EngineError
from engines.plan.checkpoint.view import CONFIG

HOSTILE = "a b'\"$(touch owned)`touch owned`;&|#{}, -x:y$HOME"
RECORDER = '#!/bin/sh\nfor word in "$0" "$@"; do printf \'%s\\0\' "$word"; done\n'
"""Prints how it was called."""
PROGRAMS = ("trtllm-serve", "vllm", "python3", "docker")
SIZE = ServerSize(requests=6, tensor_parallel=2, pipeline_parallel=2, port=9001)


def demo_copy(folder: Path, **config: object) -> Path:
    """Copy the demo, with changes of its config.json."""
    shutil.copytree(CHECKPOINT, folder)
    file = folder / CONFIG
    file.write_text(json.dumps(json.loads(file.read_text()) | config))
    return folder


def exported(folder: Path, checkpoint: Path, engine: str = "tensorrt-llm:bf16", context: int = 1024) -> Path:
    """Export an engine of a checkpoint into a new folder and return it."""
    backend, precision = engine.split(":")
    spec = EngineSpec(str(checkpoint), backend, precision, context=context)
    target = folder / "deployed"
    export_server(served_engine(spec, EngineStore(folder / "store"), SIZE), target)
    return target


def started(script: Path, programs: Path) -> list[str]:
    """Run a script whose program is replaced by a recorder; return the words that it got."""
    programs.mkdir(exist_ok=True)
    for name in PROGRAMS:
        (programs / name).write_text(RECORDER)
        (programs / name).chmod(0o755)
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "NIM_LLM_IMAGE": "image:1", "HOME": "/"}
    done = subprocess.run([script], capture_output=True, text=True, check=True, env=environment, cwd="/")
    return done.stdout.split("\0")[:-1]


def after(words: list[str], option: str) -> str:
    """Return the word after an option."""
    return words[words.index(option) + 1]


def test_hostile_names_run_no_code_and_reach_the_server_unchanged(tmp_path: Path) -> None:
    """Scripts are run with the real shell; compose replaces no variable in a path."""
    checkpoint = demo_copy(tmp_path / HOSTILE / f"model {HOSTILE}")
    target = exported(tmp_path, checkpoint)
    scripts = sorted(target.glob("*.sh"))
    assert [one.name for one in scripts] == ["nim.sh", "sglang.sh", "trtllm-serve.sh", "vllm.sh"]
    [model] = (target / "model").iterdir()
    assert set(model.name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    for script in scripts:
        words = started(script, tmp_path / "bin")
        assert any(word.endswith(f"/{model.name}") for word in words), script
    nim = started(target / "nim.sh", tmp_path / "bin")
    assert f'type=bind,"source={checkpoint}"' not in nim  # the quotation marks of the name are doubled
    assert any(checkpoint.name.replace('"', '""') in word for word in nim)
    assert "image:1" in nim
    assert not list(tmp_path.rglob("owned"))
    compose = yaml.safe_load((target / "compose.yaml").read_text())
    sources = {mount["source"] for one in compose["services"].values() for mount in one["volumes"]}
    assert str(checkpoint).replace("$", "$$") in sources
    assert (model / "model.safetensors").resolve() == checkpoint / "model.safetensors"


@pytest.mark.parametrize("name", ["line\nbreak", "bell\a", "\u2028separator"])
def test_names_with_control_characters_are_refused(tmp_path: Path, name: str) -> None:
    checkpoint = demo_copy(tmp_path / name)
    with pytest.raises(EngineError) as raised:
        exported(tmp_path, checkpoint)
    assert raised.value.code == "unsafe-name"
    assert not (tmp_path / "deployed").exists()


def test_code_of_a_checkpoint_and_another_type_are_not_served(tmp_path: Path) -> None:
    """The servers read config.json, so what the playground changes for itself is written there."""
    checkpoint = demo_copy(tmp_path / "custom", auto_map={"AutoConfig": "evil.Config"}, dtype="float32")
    (checkpoint / "evil.py").write_text("raise SystemExit")
    target = exported(tmp_path, checkpoint)
    model = target / "model" / "custom"
    config = json.loads((model / CONFIG).read_text())
    assert "auto_map" not in config
    assert config["dtype"] == config["torch_dtype"] == "bfloat16"
    assert not (model / "evil.py").exists()
    assert "--trust_remote_code" not in (target / "trtllm-serve.sh").read_text()


def test_pytorch_is_exported_to_vllm_and_sglang(tmp_path: Path) -> None:
    """The dtype, the context at most the model's own, and one place for each server's size."""
    target = exported(tmp_path, CHECKPOINT, "pytorch:fp16", context=100_000)
    assert sorted(file.name for file in target.iterdir()) == ["compose.yaml", "model", "sglang.sh", "vllm.sh"]
    vllm = started(target / "vllm.sh", tmp_path / "bin")
    assert vllm[1:3] == ["serve", "./model/checkpoint"]
    assert (after(vllm, "--dtype"), after(vllm, "--max-model-len")) == ("float16", "2048")
    assert (after(vllm, "--tensor-parallel-size"), after(vllm, "--pipeline-parallel-size")) == ("2", "2")
    assert (after(vllm, "--max-num-seqs"), after(vllm, "--port")) == ("6", "9001")
    sglang = started(target / "sglang.sh", tmp_path / "bin")
    assert (after(sglang, "--dtype"), after(sglang, "--context-length")) == ("float16", "2048")
    assert (after(sglang, "--tp-size"), after(sglang, "--pp-size")) == ("2", "2")
    compose = yaml.safe_load((target / "compose.yaml").read_text())
    service = compose["services"]["vllm"]
    assert service["command"][0] == "/models/checkpoint"
    assert service["deploy"]["resources"]["reservations"]["devices"][0]["count"] == 4
    assert service["ports"] == [{"host_ip": "127.0.0.1", "published": "9001", "target": 8000}]


@pytest.mark.parametrize(
    ("engine", "size", "code"),
    [
        ("openvino:int8", SIZE, "no-server"),
        ("pytorch:int8", SIZE, "no-server"),
        ("tensorrt-llm:fp8", SIZE, "not-built"),
        ("tensorrt-llm:bf16", ServerSize(tensor_parallel=3), "uneven-split"),
        ("tensorrt-llm:bf16", ServerSize(pipeline_parallel=9), "uneven-split"),
        ("tensorrt-llm:bf16", ServerSize(requests=0), "bad-size"),
    ],
)
def test_what_cannot_be_served_is_refused(tmp_path: Path, engine: str, size: ServerSize, code: str) -> None:
    backend, precision = engine.split(":")
    spec, store = EngineSpec(str(CHECKPOINT), backend, precision), EngineStore(tmp_path / "store")
    with pytest.raises(EngineError) as raised:
        export_server(served_engine(spec, store, size), tmp_path / "deployed")
    assert raised.value.code == code
    assert not (tmp_path / "deployed").exists()


def test_the_command_writes_a_new_folder_only(tmp_path: Path) -> None:
    command = [
        str(Path(sys.executable).with_name("trt-playground")),
        "export",
        "serve",
        str(tmp_path / "new"),
    ]
    first, second = (subprocess.run(command, capture_output=True, text=True, check=False) for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert "trtllm-serve.sh" in first.stdout
    assert second.returncode == 1
    assert "exists already" in second.stderr
