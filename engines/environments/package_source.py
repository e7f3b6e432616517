"""The source of an installed package, read by AST: its classes, also where a module forwards to another.

Importing a package such as `tensorrt_llm` would initialise MPI and need a GPU.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

FORWARDS = 8
"""How many assignments and imports are followed to the definition of a name."""


@dataclass(frozen=True)
class FoundClass:
    """A class and the file that defines it."""

    source: SourceFile
    node: ast.ClassDef


@dataclass(frozen=True)
class Member:
    """A field, method or property of a class."""

    name: str
    kind: str
    """`field`, `method` or `property`."""
    source: SourceFile
    line: int


class SourceFile:
    """One file; an empty one where it is missing or no Python."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        """Within the package, with `/`."""
        try:
            self.text = (folder / name).read_text("utf-8")
            self.tree = ast.parse(self.text)
        except (OSError, ValueError, SyntaxError, RecursionError):
            self.text, self.tree = "", ast.Module([], [])

    @cached_property
    def names(self) -> dict[str, int]:
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

    def line_of(self, text: str) -> int | None:
        """Return the line of a text; None if the file does not have it."""
        at = self.text.find(text)
        return None if at < 0 else self.text.count("\n", 0, at) + 1


class PackageSource:
    """The files of a package, each read when it is first needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, SourceFile] = {}

    def file(self, name: str) -> SourceFile:
        """Return a file of the package."""
        if name not in self._files:
            self._files[name] = SourceFile(self.folder, name)
        return self._files[name]

    def find_class(
        self, source: SourceFile, name: str, seen: frozenset[tuple[str, str]] = frozenset()
    ) -> FoundClass | None:
        """Return the class that a name of a module is bound to, by `class`, an assignment, or an import."""
        if (source.name, name) in seen or len(seen) == FORWARDS:
            return None
        seen |= {(source.name, name)}
        for node in _statements(source.tree.body):
            if isinstance(node, ast.ClassDef) and node.name == name:
                return FoundClass(source, node)
            for where, original in self._forwards(source, node, name):
                if found := self.find_class(where, original, seen):
                    return found
        return None

    def family(
        self, found: FoundClass, seen: frozenset[tuple[str, str]] = frozenset()
    ) -> Iterator[FoundClass]:
        """Yield a class and its bases in this package."""
        here = (found.source.name, found.node.name)
        if here in seen:
            return
        yield found
        for base in found.node.bases:
            if isinstance(base, ast.Name) and (parent := self.find_class(found.source, base.id)):
                yield from self.family(parent, seen | {here})

    def _forwards(self, source: SourceFile, node: ast.stmt, name: str) -> Iterator[tuple[SourceFile, str]]:
        """Yield the files and names that a statement binds `name` to."""
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            if name in _targets(node) and isinstance(node.value, ast.Name):
                yield source, node.value.id
        elif isinstance(node, ast.ImportFrom):
            original = next((one.name for one in node.names if (one.asname or one.name) in (name, "*")), "")
            if original:
                for file in self._files_of(source, node):
                    yield file, name if original == "*" else original

    def _files_of(self, source: SourceFile, node: ast.ImportFrom) -> list[SourceFile]:
        """Return the file of the module that is imported from; none outside this package."""
        module = (node.module or "").split(".") if node.module else []
        if node.level:
            above = Path(source.name).parent.parts
            parts = [*above[: len(above) - (node.level - 1)], *module]
            inside = node.level - 1 <= len(above)
        else:
            parts, inside = module[1:], module[:1] == [self.folder.name]
        path = "/".join(parts)
        names = [f"{path}.py", f"{path}/__init__.py"] if path else ["__init__.py"]
        return [self.file(name) for name in names if inside and (self.folder / name).is_file()]


def members(owner: FoundClass) -> Iterator[Member]:
    """Yield what a class itself defines."""
    for node in owner.node.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            decorators = {ast.unparse(one).split(".")[-1] for one in node.decorator_list}
            kind = "property" if decorators & {"property", "cached_property"} else "method"
            yield Member(node.name, kind, owner.source, node.lineno)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            for name in _targets(node):
                yield Member(name, "field", owner.source, node.lineno)


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a module, also those within its `if` and `try`."""
    for node in body:
        yield node
        if isinstance(node, (ast.If, ast.Try)):
            yield from _statements([*node.body, *node.orelse])
            for handler in getattr(node, "handlers", []):
                yield from _statements(handler.body)


def _targets(node: ast.Assign | ast.AnnAssign) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [one.id for one in targets if isinstance(one, ast.Name)]
