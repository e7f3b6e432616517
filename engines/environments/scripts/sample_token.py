"""Sample a token with TensorRT-LLM: its sampler compiles kernels when it first samples, not at the import.

Run by path in an environment's interpreter, with the folder of a checkpoint: `python sample_token.py FOLDER`.
The folder of this file is on its path, so nothing else may be in it. The last line of the output that starts
with PREFIX is the result. A file with a guard, because the library starts processes that import it again.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import Any

PREFIX = "TRIAL "
TOKENS = 64
END_ID = 5


def main(folder: str) -> None:
    """Print the token, or the error that caused the failure, and end even if the library's threads go on."""
    llm = None
    try:
        llm = start(folder)
        result: dict[str, Any] = {"token": sample(llm)}
    except BaseException as error:
        result = {"failed": cause(error)}
    print(f"\n{PREFIX}{json.dumps(result)}", flush=True)
    if llm is not None:
        with contextlib.suppress(Exception):
            llm.shutdown()  # its processes hold memory of the GPU
    sys.stderr.flush()
    os._exit("failed" in result)


def start(folder: str) -> Any:
    """Load a checkpoint for one short request."""
    from tensorrt_llm import LLM
    from tensorrt_llm.llmapi import CudaGraphConfig, KvCacheConfig

    return LLM(
        model=folder,
        skip_tokenizer_init=True,
        max_batch_size=1,
        max_seq_len=TOKENS,
        max_num_tokens=TOKENS,
        kv_cache_config=KvCacheConfig(max_tokens=2 * TOKENS),
        cuda_graph_config=CudaGraphConfig(batch_sizes=[1]),
    )


def sample(llm: Any) -> int:
    """Return a token that is drawn, not the most probable one."""
    from tensorrt_llm import SamplingParams

    settings = SamplingParams(
        max_tokens=1,
        temperature=0.8,
        top_k=40,
        top_p=0.9,
        end_id=END_ID,
        pad_id=END_ID,
        ignore_eos=True,
        detokenize=False,
    )
    output = llm.generate_async([1, 2, 3, 4], sampling_params=settings, streaming=False).result()
    return int(output.outputs[0].token_ids[-1])


def cause(error: BaseException) -> str:
    """Return type and text of the first error of a chain: the outer ones only say that a process failed."""
    while error.__cause__:
        error = error.__cause__
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:600]}" if text else type(error).__name__


if __name__ == "__main__":
    main(sys.argv[1])
