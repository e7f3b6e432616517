"""Names of the library that the TensorRT-LLM adapter uses, checked against an installed package's source.

Names are followed through modules that forward to others, as releases move their classes. A name is
`present`, `missing`, or `changed`: there, but as another kind of thing. What changes without an error has
optional rows: settings that a sampler does not read, the texts of errors, telemetry.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engines.environments.package_source import FoundClass, PackageSource, SourceFile, members
from engines.environments.sampler_support import CONFIG, FOLDER, SETTINGS, sampler_files, setting_reads

Kind = Literal["class", "field", "method", "property", "parameter", "name", "text", "read", "file"]
State = Literal["present", "missing", "changed"]


@dataclass(frozen=True)
class ContractRow:
    """One name that the adapter uses."""

    file: str
    """Within the package."""
    owner: str
    """Class, or `Class.method` of a parameter; empty for a name of the module and for a text."""
    name: str
    kind: Kind
    engine_only: bool = False
    """Part of releases that build TensorRT engines; without them it is not checked."""
    optional: bool = False
    """The adapter works without it."""
    without: str = ""
    """What a release without it does, if that is more than a panel that stays empty."""


@dataclass(frozen=True)
class ContractReport:
    """Result of the check of a row."""

    row: ContractRow
    state: State
    line: int
    """Line of its definition, or where it should be."""
    file: str
    """File of that line."""

    @property
    def words(self) -> str:
        """`llmapi/llm_args.py:49: KvCacheConfig.max_tokens (field) is missing`."""
        row = self.row
        name = f"{row.owner}.{row.name}" if row.owner else row.name
        optional = ", optional" if row.optional else ""
        without = f": {row.without}" if row.without and self.state != "present" else ""
        return f"{self.file}:{self.line}: {name} ({row.kind}{optional}) is {self.state}{without}"


def _rows(
    file: str, owner: str, kind: Kind, names: str, *, engine_only: bool = False, optional: bool = False
) -> list[ContractRow]:
    return [ContractRow(file, owner, name, kind, engine_only, optional) for name in names.split()]


LLM, ARGS, EXECUTOR = "llmapi/llm.py", "llmapi/llm_args.py", "executor/result.py"
API, PROXY = "llmapi/__init__.py", "executor/proxy.py"
ENGINE = "_tensorrt_engine/__init__.py"
CONTRACT: tuple[ContractRow, ...] = (
    *_rows("version.py", "", "name", "__version__"),
    *_rows(LLM, "", "class", "LLM RequestOutput"),
    *_rows(LLM, "LLM", "method", "generate_async shutdown"),
    *_rows(LLM, "LLM", "method", "get_stats", optional=True),
    *_rows(LLM, "LLM.generate_async", "parameter", "inputs sampling_params streaming"),
    *_rows(LLM, "LLM.generate_async", "parameter", "cache_salt", optional=True),
    *_rows(LLM, "LLM.get_stats", "parameter", "timeout", optional=True),
    *_rows(LLM, "_TrtLLM", "method", "save", engine_only=True),
    *_rows(ENGINE, "", "name", "LLM", engine_only=True),
    *_rows(
        ARGS,
        "TorchLlmArgs",
        "field",
        "model tokenizer tensor_parallel_size dtype trust_remote_code max_batch_size max_seq_len "
        "max_num_tokens enable_chunked_prefill kv_cache_config cuda_graph_config enable_iter_perf_stats",
    ),
    *_rows(ARGS, "TrtLlmArgs", "field", "quant_config calib_config workspace", engine_only=True),
    *_rows(ARGS, "KvCacheConfig", "field", "max_tokens dtype tokens_per_block"),
    *_rows(ARGS, "CudaGraphConfig", "field", "batch_sizes"),
    *_rows(ARGS, "CalibConfig", "field", "calib_dataset calib_batches", engine_only=True),
    *_rows(API, "", "name", "LLM KvCacheConfig CudaGraphConfig SamplingParams QuantAlgo"),
    *_rows(API, "", "name", "QuantConfig CalibConfig", engine_only=True),
    *_rows(  # from where the adapter imports it: its home has moved between releases
        API,
        "SamplingParams",
        "field",
        "max_tokens temperature top_k top_p min_p seed end_id stop_token_ids repetition_penalty ignore_eos "
        "detokenize add_special_tokens",
    ),
    *_rows(API, "SamplingParams", "field", "return_context_logits", optional=True),
    *_rows(EXECUTOR, "CompletionOutput", "property", "token_ids_diff"),
    *_rows(EXECUTOR, "CompletionOutput", "field", "finish_reason"),
    *_rows(EXECUTOR, "GenerationResult", "method", "abort result __iter__ __next__"),
    *_rows(EXECUTOR, "GenerationResult", "property", "finished"),
    *_rows("quantization/mode.py", "QuantAlgo", "field", "FP8 W4A16_AWQ W4A8_AWQ NVFP4 W8A8_SQ_PER_CHANNEL"),
    *_rows("executor/base_worker.py", "", "text", "to_json_str", optional=True),
    *(
        ContractRow(PROXY, "", text, "text", optional=True, without="failures of its process read otherwise")
        for text in ("Executor worker returned error", "Executor worker died during initialization")
    ),
    *(
        ContractRow(
            f"{FOLDER}/sampler.py",
            CONFIG,
            ours,
            "read",
            optional=True,
            without="this release ignores the setting",
        )
        for ours in SETTINGS
    ),
    ContractRow(
        "usage/__init__.py", "", "telemetry", "file", optional=True, without="this release sends none"
    ),
)


def check(package: Path) -> list[ContractReport]:
    """Look for every row of CONTRACT in the package's folder."""
    source = PackageSource(package)
    builds_engines = (package / ENGINE).is_file()
    rows = [row for row in CONTRACT if builds_engines or not row.engine_only]
    return [_verdict(source, row) for row in rows]


def broken(verdicts: list[ContractReport]) -> list[ContractReport]:
    """Those without which the adapter does not work."""
    return [one for one in verdicts if one.state != "present" and not one.row.optional]


def _verdict(package: PackageSource, row: ContractRow) -> ContractReport:
    if row.kind == "text":
        return _text(package, row)
    if row.kind == "read":
        return _read(package.folder, row)
    if row.kind == "file":
        there = (package.folder / row.file).is_file()
        return ContractReport(row, "present" if there else "missing", 1, row.file)
    source = package.file(row.file)
    if not row.owner:
        return _of_module(package, source, row)
    owner = package.find_class(source, row.owner.partition(".")[0])
    if owner is None:
        return ContractReport(row, "missing", 1, row.file)
    return (_parameter if row.kind == "parameter" else _member)(package, owner, row)


def _of_module(package: PackageSource, source: SourceFile, row: ContractRow) -> ContractReport:
    line = source.names.get(row.name)
    if line is None:
        found = package.find_class(source, row.name)  # of `import *`
        return _at(found, row) if found else ContractReport(row, "missing", 1, row.file)
    is_class = row.kind != "class" or package.find_class(source, row.name) is not None
    return ContractReport(row, "present" if is_class else "changed", line, row.file)


def _member(package: PackageSource, owner: FoundClass, row: ContractRow) -> ContractReport:
    for one in package.family(owner):
        for member in members(one):
            if member.name == row.name:
                state: State = "present" if member.kind == row.kind else "changed"
                return ContractReport(row, state, member.line, member.source.name)
    return _at(owner, row, "missing")


def _parameter(package: PackageSource, owner: FoundClass, row: ContractRow) -> ContractReport:
    method = row.owner.partition(".")[2]
    for one in package.family(owner):
        for node in one.node.body:
            if isinstance(node, ast.FunctionDef) and node.name == method:
                taken = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                line = next((name.lineno for name in taken if name.arg == row.name), None)
                state: State = "present" if line else "missing"
                return ContractReport(row, state, line or node.lineno, one.source.name)
    return _at(owner, row, "missing")


def _text(package: PackageSource, row: ContractRow) -> ContractReport:
    """Look in the row's file, then in the others of its folder: releases split their files."""
    first = package.folder / row.file
    others = sorted(first.parent.glob("*.py"))
    for file in dict.fromkeys((first, *others)):
        source = package.file(file.relative_to(package.folder).as_posix())
        if line := source.line_of(row.name):
            return ContractReport(row, "present", line, source.name)
    return ContractReport(row, "missing", 1, row.file)


def _read(package: Path, row: ContractRow) -> ContractReport:
    found = (setting_reads(package) or {}).get(row.name)
    if found:
        return ContractReport(row, "present", found.line, found.file)
    file = next((one.relative_to(package).as_posix() for one in sampler_files(package)), row.file)
    return ContractReport(row, "missing", 1, file)


def _at(found: FoundClass, row: ContractRow, state: State = "present") -> ContractReport:
    return ContractReport(row, state, found.node.lineno, found.source.name)
