"""Compare our ONNX graph with torch.onnx.export: `python -m tests.benchmarks.onnx_export [FOLDER]`.

`python -m tests.benchmarks` does not run it. It needs onnxscript, which `torch.onnx.export` uses. Without a
folder it makes GPT-2's smallest shape with random weights.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.machine import load_average, machine
from tests.benchmarks.table import Result, number

METHOD = """\
One process for each way, fp32, from a checkpoint on the disk to a model on the disk. `torch.onnx.export` with
dynamo=True gets transformers' model with its KV cache as lists of inputs and outputs, which grow by
concatenation. Memory is the largest resident size of the process."""
COLUMNS = ("way", "s", "nodes", "opset", "graph kB", "weights MB", "KV cache", "peak MB")


@dataclass(frozen=True)
class Measured:
    """One conversion."""

    seconds: float
    nodes: int
    opset: int
    graph_bytes: int
    weight_bytes: int
    cache: str
    peak_bytes: int

    def row(self, way: str) -> tuple[str, ...]:
        """Return the cells of COLUMNS."""
        sizes = (f"{self.graph_bytes / 1e3:,.0f}", f"{self.weight_bytes / 1e6:,.0f}")
        peak = f"{self.peak_bytes / 1e6:,.0f}"
        return (way, number(self.seconds), str(self.nodes), str(self.opset), *sizes, self.cache, peak)


def own_graph(checkpoint: Path, folder: Path) -> None:
    """Write the graph of `engines.onnx`."""
    from engines.onnx.decoder_graph import GraphFormat, write_graph
    from engines.plan.checkpoint.tensors import tensor_entries
    from engines.plan.decoder.decoder import read_decoder
    from engines.weights.reader import WeightReader

    form = GraphFormat("fp32", "fp32")
    write_graph(read_decoder(checkpoint), WeightReader(tensor_entries(checkpoint)), folder, form)


def exported(checkpoint: Path, folder: Path) -> None:
    """Export transformers' model with a cache that grows."""
    import torch
    from transformers import AutoModelForCausalLM, DynamicCache

    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    config = model.config
    layers, heads = config.num_hidden_layers, config.num_attention_heads
    kv_heads = getattr(config, "num_key_value_heads", None) or heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads

    class WithCache(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, position_ids: Any, keys: list[Any], values: list[Any]) -> Any:
            cache = DynamicCache()
            for layer in range(layers):
                cache.update(keys[layer], values[layer], layer)
            out = self.model(input_ids, position_ids=position_ids, past_key_values=cache, use_cache=True)
            present = [(layer.keys, layer.values) for layer in cache.layers]
            return out.logits, [one for one, _ in present], [one for _, one in present]

    new, past = torch.export.Dim("T", min=1, max=1024), torch.export.Dim("P", min=1, max=1023)
    empty = [torch.zeros(1, kv_heads, 7, width) for _ in range(layers)]
    inputs = (torch.ones(1, 5, dtype=torch.long), torch.arange(7, 12)[None], empty, [*empty])
    shapes = ({1: new}, {1: new}, [{2: past}] * layers, [{2: past}] * layers)
    program = torch.onnx.export(WithCache().eval(), inputs, dynamo=True, dynamic_shapes=shapes)
    program.save(folder / "model.onnx", external_data=True)


WAYS: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "engines.onnx": (own_graph, "in place"),
    "torch.onnx.export": (exported, "concatenated"),
}


def measure(way: str, checkpoint: Path) -> Measured:
    """Convert once in this process."""
    import onnx

    convert, cache = WAYS[way]
    with tempfile.TemporaryDirectory() as name:
        folder, begun = Path(name), time.perf_counter()
        convert(checkpoint, folder)
        seconds = time.perf_counter() - begun
        graph = folder / "model.onnx"
        model = onnx.load(graph, load_external_data=False)
        return Measured(
            seconds=seconds,
            nodes=len(model.graph.node),
            opset=model.opset_import[0].version,
            graph_bytes=graph.stat().st_size,
            weight_bytes=sum(file.stat().st_size for file in folder.iterdir() if file != graph),
            cache=cache,
            peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        )


def in_process(function: Callable[..., Any], *arguments: object) -> Any:
    """Return `function(...)`, called in a process of its own, whose largest size is that of this call."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def save_gpt2(folder: Path) -> Path:
    """Save GPT-2's smallest shape, 124M parameters, with random weights."""
    from transformers import AutoModelForCausalLM, GPT2Config

    AutoModelForCausalLM.from_config(GPT2Config()).save_pretrained(folder)
    return folder


def main() -> None:
    """Print the machine, the method and a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", nargs="?", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        checkpoint = given.checkpoint or in_process(save_gpt2, Path(name))
        rows = [in_process(measure, way, checkpoint).row(way) for way in WAYS]
    print("\n".join(machine().lines()))
    print(f"load      {load_average()}\n")
    print("\n".join(Result("onnx_export", METHOD, COLUMNS, rows).lines()))


if __name__ == "__main__":
    main()
