"""Regional compilation: what is traced, and that answers and weights stay what they were."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters

from engines.backends.compiled import regional
from engines.backends.compiled.artefacts import FILE, CompilerCache
from engines.backends.compiled.backend import CompiledBackend
from engines.backends.compiled.cache import BucketedCache
from engines.backends.compiled.eight_bits import EightBitLinear
from engines.backends.compiled.four_bits import CudaFourBitLinear
from engines.backends.compiled.fused import Projection, fuse_projections
from engines.backends.compiled.model import load_weights, make_model, save_weights
from engines.backends.compiled.regional import Regions
from engines.backends.compiled.runner import Runner
from engines.backends.pytorch import PyTorchBackend
from engines.build.spec import EngineSpec
from engines.errors import EngineError
from engines.worker.protocol import Sampling
from tests.doubles.log_report import LogReport
from tests.engines.tiny import make_checkpoint

PROMPT = list(range(5, 40))


@pytest.fixture
def traced_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dynamo traces and guards as always; the graphs run uncompiled."""

    def compiled(function: Callable[..., Any], _options: object) -> Callable[..., Any]:
        found: Callable[..., Any] = torch.compile(function, fullgraph=True, backend="eager")
        return found

    monkeypatch.setattr(regional, "_compiled", compiled)


def answer(backend: CompiledBackend | PyTorchBackend) -> list[int]:
    seen: list[int] = []
    sampling = Sampling(max_tokens=8, ignore_eos=True)
    backend.generate(PROMPT, sampling, frozenset(), seen.extend, lambda: False)
    return seen


def graphs(folder: Path) -> int:
    """Load the checkpoint, compare its answer with that of PyTorch, and return the number of graphs."""
    backend, reference = CompiledBackend(), PyTorchBackend()
    reference.load(EngineSpec(str(folder), "pytorch", "fp32"), folder, None, LogReport())
    backend.load(EngineSpec(str(folder), "compiled", "fp32", context=512), folder, None, LogReport())
    try:
        assert answer(backend) == answer(reference)
        return int(counters["stats"]["unique_graphs"])
    finally:
        backend.close()


@pytest.mark.usefixtures("traced_only")
@pytest.mark.parametrize(
    ("family", "layers", "expected"),
    [
        pytest.param("llama", 2, 2, id="a layer and the LM head"),
        pytest.param("llama", 4, 2, id="more layers, no more graphs"),
        pytest.param("smollm3", 4, 3, id="one for each kind of layer: with RoPE and without"),
        pytest.param("gpt2", 3, 2, id="another architecture"),
    ],
)
def test_equal_layers_share_one_graph(family: str, layers: int, expected: int, tmp_path: Path) -> None:
    assert graphs(make_checkpoint(tmp_path / "model", family, num_hidden_layers=layers)) == expected


@pytest.mark.usefixtures("traced_only")
@pytest.mark.parametrize(
    ("family", "norm", "expected"), [("llama", "norm", 3), ("gpt2", "ln_f", 2), ("smollm3", "norm", 4)]
)
def test_the_final_norm_and_the_head_are_one_graph_of_a_gpu(
    family: str, norm: str, expected: int, tmp_path: Path
) -> None:
    """The others: one for each kind of layer, and RoPE."""
    folder = make_checkpoint(tmp_path / "model", family, num_hidden_layers=4)
    spec = EngineSpec(str(folder), "compiled", "fp32")
    reference = make_model(spec, folder)(torch.tensor([[7]])).logits[:, -1]
    model = make_model(spec, folder)
    runner = Runner(model, BucketedCache(model.config, 512))
    runner._regions = Regions(model, runner.kv_cache, on_gpu=True)
    counters.clear()
    with torch.no_grad(), runner._regions.compiling():
        runner.allocate()
        runner._token.fill_(7)
        runner._run_step(512)
    torch.testing.assert_close(runner._logits, reference)
    assert runner._regions._final_norm is getattr(model.base_model, norm)
    assert counters["stats"]["unique_graphs"] == expected


def test_a_norm_is_not_merged_with_a_head_that_reads_something_else() -> None:
    output = torch.randn(1, 16, 8)
    assert regional._is_same(output, output[:, 0:, :])
    assert not regional._is_same(output, output * 2)
    assert not regional._is_same(output, output[:, -1:])
    output.mul_(2)
    assert not regional._is_same(output, output[:, 0:, :])


def test_collection_is_on_after_a_load_that_failed(tmp_path: Path) -> None:
    gc.disable()
    with pytest.raises(EngineError):
        CompiledBackend().load(EngineSpec(str(tmp_path), "compiled", "fp2"), tmp_path, None, LogReport())
    assert gc.isenabled()


READ_WEIGHTS = """
import json, sys
from pathlib import Path
from engines.backends.compiled.backend import CompiledBackend
CompiledBackend.start_process()
from engines.backends.compiled import early_imports
from engines.backends.compiled.model import make_model
from engines.build.spec import EngineSpec
before = set(sys.modules)
for folder in sys.argv[1:]:
    make_model(EngineSpec(folder, "compiled", "bf16"), Path(folder))
print(json.dumps([name for name in set(sys.modules) - before if name.startswith("torch")]))
"""


@pytest.mark.timeout(200)
def test_reading_weights_imports_nothing_of_torch(tmp_path: Path) -> None:
    """The compiler is imported in a thread meanwhile; see `CompilerImports`."""
    families = ("llama", "gpt2", "smollm3", "phi3", "qwen3")
    folders = [str(make_checkpoint(tmp_path / family, family)) for family in families]
    command = [sys.executable, "-c", READ_WEIGHTS, *folders]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []


@pytest.mark.parametrize("precision", ["int8", "fp8", "int4"])
def test_weights_of_a_gpu_are_read_as_they_were_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    """They are in layers of our own, which are the same in a model that was read."""
    pytest.importorskip("torchao", reason="quantised precisions need torchao (extra `compiled`)")
    monkeypatch.setattr("engines.backends.compiled.quantise._on_gpu", lambda _spec: True)
    folder = make_checkpoint(tmp_path / "model", "llama")
    spec = EngineSpec(str(folder), "compiled", precision)
    built = make_model(spec, folder)
    save_weights(built, tmp_path)
    read = load_weights(spec, folder, tmp_path)
    assert [type(module) for module in read.modules()] == [type(module) for module in built.modules()]
    found = read.state_dict()
    assert found.keys() == built.state_dict().keys()
    for name, tensor in built.state_dict().items():
        assert torch.equal(*(one.view(torch.uint8) for one in (found[name], tensor))), name
    assert any(isinstance(module, (EightBitLinear, CudaFourBitLinear)) for module in read.modules())


@pytest.mark.parametrize("family", ["llama", "llama-biased"])
def test_fused_projections_compute_the_same(family: str, tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "model", family)
    spec = EngineSpec(str(folder), "compiled", "fp32")
    plain, fused = make_model(spec, folder), make_model(spec, folder)
    assert fuse_projections(fused) == 2 * 2
    ids = torch.tensor([PROMPT])
    torch.testing.assert_close(fused(ids).logits, plain(ids).logits)
    assert isinstance(fused.model.layers[0].self_attn.k_proj, Projection)
    values = [sum(tensor.numel() for tensor in model.state_dict().values()) for model in (plain, fused)]
    assert values[0] == values[1]


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_fused_projections_are_quantised_like_single_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    pytest.importorskip("torchao", reason="quantised precisions need torchao (extra `compiled`)")
    folder = make_checkpoint(tmp_path / "model", "llama")
    spec, ids = EngineSpec(str(folder), "compiled", precision), torch.tensor([PROMPT])
    fused = make_model(spec, folder)
    monkeypatch.setattr("engines.backends.compiled.model.fuse_projections", lambda _: 0)
    single = make_model(spec, folder)
    assert isinstance(fused.model.layers[0].mlp.up_proj, Projection)
    assert not isinstance(single.model.layers[0].mlp.up_proj, Projection)
    torch.testing.assert_close(fused(ids).logits, single(ids).logits)


def test_a_projection_of_another_input_is_computed_anew() -> None:
    torch.manual_seed(0)
    parent = torch.nn.Module()
    for name in ("gate_proj", "up_proj"):
        parent.add_module(name, torch.nn.Linear(8, 4))
    gate, up = parent.gate_proj, parent.up_proj
    fuse_projections(parent)
    first, second = torch.randn(2, 1, 8).unbind(0)
    torch.testing.assert_close(parent.gate_proj(first), gate(first))
    torch.testing.assert_close(parent.up_proj(second), up(second))
    torch.testing.assert_close(parent.gate_proj(second), gate(second))


def test_the_cache_finds_its_kernels_in_another_folder(tmp_path: Path) -> None:
    """Triton lists the files of a kernel with absolute paths, and every load has a folder of its own."""
    built = CompilerCache()
    kernel = built._folder / "triton" / "0" / "HASH"
    kernel.mkdir(parents=True)
    (kernel / "kernel.cubin").write_bytes(b"code")
    (kernel / "kernel.ttir").write_text("not read by any load")
    (kernel / "__grp__kernel.json").write_text(
        f'{{"child_paths": {{"kernel.cubin": "{kernel}/kernel.cubin"}}}}'
    )
    assert built.save(tmp_path) == (tmp_path / FILE).stat().st_size
    built.close()
    assert not kernel.exists()
    loaded = CompilerCache()
    assert not loaded.restore(tmp_path / "nothing")
    assert loaded.restore(tmp_path)
    (found,) = loaded._folder.rglob("*.cubin")
    assert str(found) in (found.parent / "__grp__kernel.json").read_text()
    assert not (found.parent / "kernel.ttir").exists()
    loaded.close()
