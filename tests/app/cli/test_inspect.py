"""`engines inspect`: what an engine is made of, as plain text and as CSV."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from app.cli.inspect import LARGEST
from app.cli.main import cli
from app.state.settings.paths import engine_store
from engines.build.store import EngineStore
from engines.build.stored_engine import StoredEngine
from tests.app.screens.test_inspect import add, hostile, many, nothing
from tests.engines.inspect.layers import write_layers


def inspect(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(cli, ["engines", "inspect", *arguments])


def stored(fill: object = write_layers, backend: str = "tensorrt") -> StoredEngine:
    """Store an engine where the command looks for it."""
    return add(EngineStore(engine_store()), fill, backend)  # type: ignore[arg-type]


def test_the_summary_and_the_slowest_layers_are_printed() -> None:
    entry = stored()
    done = inspect(entry.fingerprint[:4])
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "engine          TensorRT int8 for sm89"
    assert "target          sm89" in lines
    assert "versions        tensorrt_rtx 1.1" in lines
    assert "                 96.0 KiB  1 × gemm, int8" in lines
    assert "                1 × MATRIX_MULTIPLY, fp16" in lines
    layers = lines[lines.index("Engine layers, slowest 6 of 6:") + 1 :]
    assert layers[0].split() == ["name", "kind", "weights", "bytes", "time", "precision", "shape"]
    assert [line.split()[0] for line in layers[1:4]] == [
        "layers.0/attention/query",
        "__myl_SigmMul_0",
        "Reformatting",
    ]
    assert "fused:" not in done.stdout


def test_all_lists_every_layer() -> None:
    entry = stored(many)
    assert f"Network layers, largest {LARGEST} of 15,000:" in inspect(entry.fingerprint).stdout
    done = inspect(entry.fingerprint, "--all")
    assert "layers.14999/mlp/up" in done.stdout


def test_all_names_what_was_fused() -> None:
    done = inspect(stored().fingerprint, "--all")
    assert "    fused: layers.0/mlp/sigmoid + layers.0/mlp/silu" in done.stdout.splitlines()


def test_the_table_is_written_as_csv(tmp_path: Path) -> None:
    """Nothing is overwritten."""
    entry, table = stored(), tmp_path / "layers.csv"
    done = inspect(entry.fingerprint, "--csv", str(table))
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == f"Written: {table}, 11 rows."
    assert len(list(csv.DictReader(table.open(encoding="utf-8", newline="")))) == 11
    again = inspect(entry.fingerprint, "--csv", str(table))
    assert again.exit_code == 1
    assert "There is such a file already." in again.stderr


def test_an_engine_without_such_files_says_who_built_it() -> None:
    done = inspect(stored(nothing, "openvino").fingerprint)
    assert done.exit_code == 0
    assert "This engine has no graph file (model.onnx): it was built by OpenVINO." in done.stdout


def test_damaged_files_give_exit_code_1() -> None:
    entry = stored()
    (entry.directory / "layers.json").write_text("{")
    done = inspect(entry.fingerprint)
    assert done.exit_code == 1
    assert "damaged: its file layers.json has another size than when it was built" in done.stdout
    assert "layers.json is damaged: it is not JSON." in done.stdout
    (entry.directory / "manifest.json").write_text("{")
    done = inspect(entry.fingerprint)
    assert done.exit_code == 1
    assert done.stderr == f"{entry.fingerprint} cannot be inspected: manifest damaged.\n"


def test_names_of_strangers_do_not_reach_the_terminal(tmp_path: Path) -> None:
    entry, table = stored(hostile), tmp_path / "layers.csv"
    for arguments in ((), ("--all",), ("--csv", str(table))):
        printed = inspect(entry.fingerprint, *arguments).output
        assert not [char for char in printed if char != "\n" and ord(char) < 32]
    assert "\x1b" not in table.read_text("utf-8")


@pytest.mark.parametrize(("name", "code"), [("ffff", 1), ("", 1)])
def test_an_engine_that_is_not_there(name: str, code: int) -> None:
    stored()
    done = inspect(name)
    assert done.exit_code == code
    assert "There is no engine" in done.stderr


def test_a_built_onnx_engine_says_how_its_weights_are_stored(tiny: Path) -> None:
    """Built by the real backend, through `ask`."""
    from tests.app.cli.test_main import run

    assert (
        run("ask", "Hello", "-m", str(tiny), "--engine", "onnxruntime:int4", "--max-tokens", "2").returncode
        == 0
    )
    (entry,) = EngineStore(engine_store()).engines()
    done = inspect(entry.fingerprint)
    assert "14 × MatMul, int4" in done.stdout
    assert "1 × MatMul, int8" in done.stdout
