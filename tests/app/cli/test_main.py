"""The command line through the installed `trt-playground` script."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from app.cli.arguments import engine_spec, parse_engine
from app.state.settings.paths import engine_store
from app.state.settings.settings import ChatOptions, EngineChoice, Settings, save_settings
from engines.worker.protocol import Sampling
from tests.doubles.nvml import Gpu, Nvml
from tests.doubles.openai_server import OpenAIServer

COMMAND = str(Path(sys.executable).with_name("trt-playground"))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *arguments], capture_output=True, text=True, timeout=100, check=False)


def test_version() -> None:
    done = run("--version")
    assert re.fullmatch(r"trt-playground \d+\.\d+\.\d+\n", done.stdout)
    assert done.returncode == 0


def test_ask_builds_answers_and_reuses(tiny: Path) -> None:
    """stdout has only the answer; the second call builds nothing; the store lists and deletes the engine."""
    arguments = ("ask", "Hello", "-m", str(tiny), "--engine", "openvino:int8", "--max-tokens", "8")
    first, second = run(*arguments), run(*arguments)
    assert first.returncode == second.returncode == 0
    assert first.stdout == second.stdout
    assert "tok/s" in first.stderr
    assert "built in" in first.stderr
    assert "cache hit: " in second.stderr
    listed = run("engines", "ls").stdout
    assert "OpenVINO int8" in listed
    fingerprint = listed.split()[0]
    assert run("engines", "verify").returncode == 0
    assert run("engines", "rm", fingerprint).returncode == 0
    assert run("engines", "rm", fingerprint).returncode == 1
    assert "0 engines" in run("engines", "ls").stdout


def test_ask_with_presets_and_sampling(
    tiny: Path, own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Built-in and saved presets, and options that override them; an unknown preset lists those available."""
    chat = ChatOptions("Be a pirate.", Sampling(temperature=1.5, max_tokens=6, seed=3, ignore_eos=True))
    save_settings(own_folders / "settings.toml", Settings(presets={"Pirate": chat}))
    monkeypatch.setenv("TRT_PLAYGROUND_CONFIG", str(own_folders / "settings.toml"))
    arguments = ("ask", "Hello", "-m", str(tiny), "--preset")
    first, again = run(*arguments, "Pirate"), run(*arguments, "Pirate")
    other = run(*arguments, "Pirate", "--seed", "4", "--system", "")
    assert first.returncode == 0
    assert "6 tokens" in first.stderr
    assert first.stdout == again.stdout != other.stdout
    assert "4 tokens" in run(*arguments, "Measure", "--max-tokens", "4", "--temperature", "0.5").stderr
    unknown = run(*arguments, "Unknown")
    assert unknown.returncode == 2
    assert "Pirate" in unknown.stderr
    assert run(*arguments, "Greedy", "--temperature", "-1").returncode == 2


def test_ask_reports_a_bad_checkpoint(tmp_path: Path) -> None:
    done = run("ask", "Hello", "-m", str(tmp_path))
    assert done.returncode == 1
    assert "config.json" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_damaged_engine_is_reported_and_rebuilt(tiny: Path) -> None:
    assert run("ask", "Hello", "-m", str(tiny), "--max-tokens", "2").returncode == 0
    root = Path(run("engines", "ls").stdout.rpartition(" in ")[2].strip())
    largest = max(root.glob("engines/*/*"), key=lambda path: path.stat().st_size)
    largest.write_bytes(b"cut")
    assert run("engines", "verify").returncode == 1
    again = run("ask", "Hello", "-m", str(tiny), "--max-tokens", "2")
    assert again.returncode == 0
    assert "rebuilding" in again.stderr


def test_prune_needs_a_size() -> None:
    assert run("engines", "prune", "--keep", "much").returncode == 2
    assert run("engines", "prune", "--keep", "1GB").returncode == 0


def test_unreadable_engines_are_listed_removed_and_pruned(own_folders: Path) -> None:
    """Damaged, of an older format, of an unknown backend, and a build that died: none of them is a trap."""
    store = engine_store()
    spec = {"checkpoint": "/m", "backend": "xyz", "precision": "int8"}
    unknown = {"format": 1, "spec": spec, "inputs": {}, "files": {}}
    manifests = {"a": "{", "b": '{"format": 0}', "c": json.dumps(unknown)}
    for letter, text in manifests.items():
        folder = store / "engines" / (letter * 20)
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(text)
        (folder / "weights").write_bytes(bytes(4096))
    (store / "building" / ("d" * 20 + "-abc")).mkdir(parents=True)
    listed, verified = run("engines", "ls"), run("engines", "verify")
    reasons = ("manifest damaged", "format 0, this release reads 1", "unknown backend 'xyz'")
    for words in (*reasons, "unfinished build"):
        assert words in listed.stdout
        assert words in verified.stdout
    assert "KiB" in listed.stdout
    assert "0 engines in" in listed.stdout
    assert verified.returncode == 1
    assert run("doctor").returncode == 0
    assert run("engines", "rm", "aaaa").returncode == run("engines", "rm", "d" * 20 + "-abc").returncode == 0
    pruned = run("engines", "prune", "--keep", "5kB")
    assert pruned.stdout.startswith("Deleted 1 engine, ")
    assert run("engines", "prune", "--keep", "0B").stdout.startswith("Deleted 1 engine, ")
    assert run("engines", "verify").stdout.startswith("0 problems in")


def test_rm_of_a_prefix_of_two_engines_asks_for_more_digits() -> None:
    for name in ("ab" * 10, "ac" * 10):
        (engine_store() / "engines" / name).mkdir(parents=True)
    refused = run("engines", "rm", "a")
    assert refused.returncode == 2
    assert "ab" * 10 in refused.stderr
    assert run("engines", "rm", "ab").returncode == 0


def test_doctor_names_machine_and_backends() -> None:
    done = run("doctor")
    assert done.returncode == 0
    for word in ("Python", "cpu:", "engine store:", "PyTorch:", "OpenVINO:", "native"):
        assert word in done.stdout


def test_paths() -> None:
    assert "engine store" in run("paths").stdout


def test_broken_settings_are_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("context = 'long'")
    monkeypatch.setenv("TRT_PLAYGROUND_CONFIG", str(path))
    done = run()
    assert done.returncode == 2
    assert str(path) in done.stderr
    assert "Traceback" not in done.stderr


def test_engines_are_parsed_from_backend_and_precision() -> None:
    assert parse_engine("openvino:int4") == EngineChoice("openvino", "int4")
    assert parse_engine("openvino:int8:f16") == EngineChoice("openvino", "int8", "f16")
    for text in ("openvino", "openvino:int3", "nothing:int8"):
        with pytest.raises(typer.BadParameter):
            parse_engine(text)


def test_an_engine_may_name_its_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setitem(sys.modules, "pynvml", Nvml((Gpu(uuid="GPU-0"), Gpu(uuid="GPU-1"))))
    found = parse_engine("tensorrt-llm:fp8:fp8@cuda:1")
    assert found == EngineChoice("tensorrt-llm", "fp8", "fp8", device="cuda:1")
    assert engine_spec("demo", "tensorrt-llm:fp8@cuda:1", 512).device == "cuda:1"
    with pytest.raises(typer.BadParameter, match=r"lacks GPU 'cuda:2'\. GPUs: cuda:0, cuda:1"):
        parse_engine("tensorrt-llm:fp8@cuda:2")
    with pytest.raises(typer.BadParameter, match="OpenVINO runs on the CPU here"):
        parse_engine("openvino:int8@cuda:1")


def test_a_server_gets_the_headers_that_the_engine_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The values come from the environment; no file of ours and no output has them."""
    monkeypatch.setenv("GATE", "gate-secret-42")
    for kind in ("CONFIG", "CACHE", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind.lower()))
    with OpenAIServer("vllm").running() as server:
        engine = f"endpoint:{server.base},header=X-Gate-Token:env:GATE,header=X-Team: red"
        done = run("ask", "Hello", "--engine", engine)
        assert done.returncode == 0, done.stderr
        chats = [one.headers for one in server.requests if one.path.endswith("/chat/completions")]
    assert [(one["X-Gate-Token"], one["X-Team"]) for one in chats] == [("gate-secret-42", "red")]
    assert "gate-secret-42" not in done.stdout + done.stderr
    written = [one for one in tmp_path.rglob("*") if one.is_file()]
    assert written
    assert not any(b"gate-secret-42" in one.read_bytes() for one in written)
    with pytest.raises(typer.BadParameter, match="looks like a credential") as refused:
        parse_engine("endpoint:http://127.0.0.1:1/v1,header=X-Gate-Token:gate-secret-42")
    assert "gate-secret-42" not in str(refused.value)
    with pytest.raises(typer.BadParameter, match="a key and headers, not 'headers'"):
        parse_engine("endpoint:http://127.0.0.1:1/v1,headers=X-Team:red")
