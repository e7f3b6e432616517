"""Names of the library that the TensorRT-LLM adapter uses, checked against an installed package's source.

Read by AST: importing the package would initialise MPI and need a GPU. A name is `present`, `missing`, or
`changed`: there, but as another kind of thing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

Kind = Literal["class", "field", "method", "property", "parameter", "name"]


@dataclass(frozen=True)
class ContractRow:
    """One name that the adapter uses."""

    file: str
    """Within the package."""
    owner: str
    """Class, or `Class.method` of a parameter; empty for a name of the module."""
    name: str
    kind: Kind
    engine_only: bool = False
    """Part of releases that build TensorRT engines; without them it is not checked."""
    optional: bool = False
    """Without it only a panel stays empty."""


@dataclass(frozen=True)
class ContractReport:
    """Result of the check of a row."""

    row: ContractRow
    state: Literal["present", "missing", "changed"]
    line: int
    """Line of its definition, or where it should be."""

    @property
    def words(self) -> str:
        """`llmapi/llm_args.py:49: KvCacheConfig.max_tokens (field) is missing`."""
        row = self.row
        name = f"{row.owner}.{row.name}" if row.owner else row.name
        optional = ", optional" if row.optional else ""
        return f"{row.file}:{self.line}: {name} ({row.kind}{optional}) is {self.state}"


def _rows(file: str, owner: str, kind: Kind, names: str, **more: bool) -> list[ContractRow]:
    return [ContractRow(file, owner, name, kind, **more) for name in names.split()]


LLM, ARGS, EXECUTOR = "llmapi/llm.py", "llmapi/llm_args.py", "executor/result.py"
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
    *_rows("llmapi/__init__.py", "", "name", "LLM KvCacheConfig CudaGraphConfig SamplingParams QuantAlgo"),
    *_rows("llmapi/__init__.py", "", "name", "QuantConfig CalibConfig", engine_only=True),
    *_rows(
        "sampling_params.py",
        "SamplingParams",
        "field",
        "max_tokens temperature top_k top_p min_p seed end_id stop_token_ids repetition_penalty ignore_eos "
        "detokenize add_special_tokens",
    ),
    *_rows("sampling_params.py", "SamplingParams", "field", "return_context_logits", optional=True),
    *_rows(EXECUTOR, "CompletionOutput", "property", "token_ids_diff"),
    *_rows(EXECUTOR, "CompletionOutput", "field", "finish_reason"),
    *_rows(EXECUTOR, "GenerationResult", "method", "abort result __iter__ __next__"),
    *_rows(EXECUTOR, "GenerationResult", "property", "finished"),
    *_rows("quantization/mode.py", "QuantAlgo", "field", "FP8 W4A16_AWQ W4A8_AWQ NVFP4 W8A8_SQ_PER_CHANNEL"),
    *_rows("executor/base_worker.py", "", "name", "to_json_str", optional=True),
)


def check(package: Path) -> list[ContractReport]:
    """Look for every row of CONTRACT in the package's folder."""
    sources: dict[str, _Source] = {}
    builds_engines = (package / ENGINE).is_file()
    found = []
    for row in CONTRACT:
        if row.engine_only and not builds_engines:
            continue
        source = sources.setdefault(row.file, _Source(package / row.file))
        found.append(source.verdict(row))
    return found


def broken(verdicts: list[ContractReport]) -> list[ContractReport]:
    """Those without which the adapter does not work."""
    return [one for one in verdicts if one.state != "present" and not one.row.optional]


class _Source:
    """One file; an empty one where it is missing or no Python."""

    def __init__(self, path: Path) -> None:
        try:
            self.text = path.read_text("utf-8")
            self.tree = ast.parse(self.text)
        except (OSError, ValueError, SyntaxError):
            self.text, self.tree = "", ast.Module([], [])

    def verdict(self, row: ContractRow) -> ContractReport:
        if row.kind == "parameter":
            return self._parameter(row)
        if not row.owner:
            return self._of_module(row)
        owner = self._class(row.owner)
        if owner is None:
            return ContractReport(row, "missing", 1)
        for one in self._family(owner):
            for name, kind, line in _members(one):
                if name == row.name:
                    return ContractReport(row, "present" if kind == row.kind else "changed", line)
        return ContractReport(row, "missing", owner.lineno)

    def _of_module(self, row: ContractRow) -> ContractReport:
        line = self._names.get(row.name)
        if line is None and row.kind == "name" and row.optional and row.name in self.text:
            return ContractReport(row, "present", self.text[: self.text.index(row.name)].count("\n") + 1)
        if line is None:
            return ContractReport(row, "missing", 1)
        is_class = row.kind != "class" or self._class(row.name) is not None
        return ContractReport(row, "present" if is_class else "changed", line)

    def _parameter(self, row: ContractRow) -> ContractReport:
        owner, _, method = row.owner.partition(".")
        found = self._class(owner)
        if found is None:
            return ContractReport(row, "missing", 1)
        for one in self._family(found):
            for node in one.body:
                if isinstance(node, ast.FunctionDef) and node.name == method:
                    taken = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                    line = next((name.lineno for name in taken if name.arg == row.name), None)
                    return ContractReport(row, "present" if line else "missing", line or node.lineno)
        return ContractReport(row, "missing", found.lineno)

    @cached_property
    def _names(self) -> dict[str, int]:
        """Names of the module, imports included, and their lines."""
        found: dict[str, int] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                found.setdefault(node.name, node.lineno)
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                found |= {(one.asname or one.name): node.lineno for one in node.names}
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                found |= dict.fromkeys(_targets(node), node.lineno)
        return found

    def _class(self, name: str) -> ast.ClassDef | None:
        """The class of a name, also where the name is bound to another class."""
        for node in self.tree.body:
            if isinstance(node, ast.ClassDef) and node.name == name:
                return node
        for node in self.tree.body:
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and name in _targets(node):
                value = node.value
                return self._class(value.id) if isinstance(value, ast.Name) and value.id != name else None
        return None

    def _family(self, owner: ast.ClassDef) -> Iterator[ast.ClassDef]:
        """The class and its bases in this file."""
        yield owner
        for base in owner.bases:
            if isinstance(base, ast.Name) and base.id != owner.name and (found := self._class(base.id)):
                yield from self._family(found)


def _members(owner: ast.ClassDef) -> Iterator[tuple[str, str, int]]:
    for node in owner.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            decorators = {ast.unparse(one).split(".")[-1] for one in node.decorator_list}
            yield (
                node.name,
                "property" if decorators & {"property", "cached_property"} else "method",
                node.lineno,
            )
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            for name in _targets(node):
                yield name, "field", node.lineno


def _targets(node: ast.Assign | ast.AnnAssign) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [one.id for one in targets if isinstance(one, ast.Name)]
