"""The process of another rank: `python -m engines.backends.compiled.split PARENT`.

The first line of standard input says which engine, each following one is a step of `MirroredRunner`.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from engines.backends.eager_imports import skip_optional_packages
from engines.build.spec import EngineSpec
from engines.worker.parent_death import die_with_parent
from engines.worker.visible_gpus import only_own_gpus


def main() -> None:
    """Load this rank's part of the engine, then run steps until standard input ends."""
    die_with_parent(int(sys.argv[1]))
    request = json.loads(sys.stdin.readline())
    spec = EngineSpec.from_json(request["spec"])
    if spec.device.startswith("cuda"):  # before CUDA is initialised; compiled code names the device
        own = only_own_gpus(replace(spec, device=spec.devices[request["index"]], options={}))
        spec = replace(spec, device=own.device)
    gc.disable()
    skip_optional_packages()
    import torch

    from engines.backends.compiled.artefacts import CompilerCache

    compiler = CompilerCache()
    try:
        runner = _load(request, spec, compiler)
        gc.collect()
        gc.freeze()
        with torch.no_grad():
            for line in sys.stdin:
                _run(runner, json.loads(line))
    finally:
        compiler.close()
    sys.stdout.flush()
    os._exit(0)  # NCCL waits for CUDA graphs with its kernels, and the interpreter for NCCL's threads


def _load(request: dict[str, Any], spec: EngineSpec, compiler: Any) -> Any:
    """Read this rank's part of the weights and restore the compile cache."""
    import torch

    from engines.backends.base import context_window
    from engines.backends.compiled.cache import BucketedCache
    from engines.backends.compiled.model import load_weights, make_model, weights_file
    from engines.backends.compiled.split.mirrored_runner import FollowingRunner
    from engines.backends.compiled.split.rank import Rank
    from engines.backends.compiled.split.ranks import join_group

    rank = Rank(request["index"], spec.gpus)
    checkpoint = Path(request["checkpoint"])
    directory = Path(request["directory"]) if request["directory"] else None
    if spec.device.startswith("cuda"):
        torch.backends.cuda.enable_cudnn_sdp(False)  # as in the worker
    join_group(rank, spec.device, request["meeting"])
    if directory and (directory / weights_file(rank)).is_file():
        model = load_weights(spec, checkpoint, directory, rank)
    else:
        model = make_model(spec, checkpoint, rank)
    if directory:
        compiler.restore(directory)
    positions = getattr(model.config, "max_position_embeddings", None)
    return FollowingRunner(model, BucketedCache(model.config, context_window(spec, positions)), rank)


def _run(runner: Any, line: dict[str, Any]) -> None:
    from engines.backends.compiled.model import save_weights

    step = line.pop("step")
    if step == "save":
        save_weights(runner.model, Path(line["directory"]), runner.rank)
    elif step in ("compile", "capture"):
        getattr(runner, step)(lambda _done, _total: None)
    else:
        getattr(runner, step)(**line)


if __name__ == "__main__":
    main()
