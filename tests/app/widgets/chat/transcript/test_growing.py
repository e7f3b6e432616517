"""The work of a redraw depends on what is new, not on what is above it; the drawing not on how it arrived."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
from rich.segment import Segment

from app.widgets.chat.transcript import blocks, code_tokens, growing_paragraph, growing_table
from app.widgets.chat.transcript.code_tokens import CodeTokens
from app.widgets.chat.transcript.incremental_markdown import IncrementalMarkdown
from app.widgets.chat.transcript.line_renderer import Line, LineRenderer
from tests.app.widgets.chat.transcript.test_incremental_markdown import renderer

__all__ = ["renderer"]

CODE = "def function_{}(x, y=None): return x * 2  # comment\n"
Text = Callable[[int], str]
GROWING: dict[str, Text] = {
    "code": lambda n: "```python\n" + "".join(CODE.format(line) for line in range(n)),
    "code without a language": lambda n: "```\n" + "a line\n" * n,
    "indented code": lambda n: "".join(f"    line {line}\n" for line in range(n)),
    "code in an item": lambda n: "1. Do:\n   ```python\n" + "".join(f"   {CODE}" for _ in range(n)),
    "code in a quote": lambda n: "> ```c\n" + "> int a; /* b */\n" * n,
    "a table": lambda n: "| a | b |\n|---|--:|\n" + "| some **words** | 12345 |\n" * n,
    "a table in an item": lambda n: "- T:\n\n  | a | b |\n  |---|---|\n" + "  | x | y |\n" * n,
    "bullets": lambda n: "- an item with `code`\n" * n,
    "numbers": lambda n: "".join(f"{item + 1}. item\n" for item in range(n)),
    "loose items": lambda n: "- item\n\n  with more\n\n" * n,
    "nested items": lambda n: "- Items:\n" + "  1. item\n     - below\n" * n,
    "a quote": lambda n: "> - quoted\n" * n,
    "paragraphs": lambda n: "Some **words**.\n\n" * n,
    "a paragraph": lambda n: "A line of **one** paragraph\n" * n,
    "headings": lambda n: "## Title\n" * n,
    "formulas": lambda n: "\\[ x_1 \\]\n\n" * n,
}


class Work:
    """Counts what the parser, the lexers and the drawing are given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.characters = self.lines = self.rows = self.pieces = 0
        parse, read = blocks.parse, CodeTokens._read
        row, piece = growing_table.GrowingTable._row, growing_paragraph.GrowingParagraph._drawn

        def parsed(source: str, *others: object) -> list[blocks.Block]:
            self.characters += len(source)
            return parse(source, *others)  # type: ignore[arg-type]

        def lexed(code: CodeTokens, text: str, states: list[str]) -> list[list[code_tokens.Token]]:
            self.lines += text.count("\n") + 1
            return read(code, text, states)

        def drawn_row(table: growing_table.GrowingTable, cells: list[growing_table._Cell]) -> list[Line]:
            self.rows += 1
            return row(table, cells)

        def drawn(paragraph: growing_paragraph.GrowingParagraph, *others: object) -> list[Line]:
            self.pieces += 1
            return piece(paragraph, *others)  # type: ignore[arg-type]

        monkeypatch.setattr("app.widgets.chat.transcript.incremental_markdown.parse", parsed)
        monkeypatch.setattr(CodeTokens, "_read", lexed)
        monkeypatch.setattr(growing_table.GrowingTable, "_row", drawn_row)
        monkeypatch.setattr(growing_paragraph.GrowingParagraph, "_drawn", drawn)

    @property
    def all(self) -> tuple[int, int, int, int]:
        """Return characters parsed, lines of code read, and rows and pieces of text drawn."""
        return self.characters, self.lines, self.rows, self.pieces


def pieces_of(text: str, size: int) -> Iterator[str]:
    yield from (text[: end + size] for end in range(0, len(text), size))


@pytest.mark.parametrize("text", GROWING.values(), ids=GROWING)
def test_a_redraw_costs_the_same_in_a_short_text_and_in_a_long_one(
    text: Text, renderer: LineRenderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs = []
    for length in (50, 400):
        markdown, work = IncrementalMarkdown(renderer), Work(monkeypatch)
        before, more = text(length), text(length + 20)
        markdown.render(before)
        start = work.all
        for piece in pieces_of(more[len(before) :], 7):
            markdown.render(before + piece)
        costs.append([after - one for after, one in zip(work.all, start, strict=True)])
        monkeypatch.undo()
    for few, many in zip(*costs, strict=True):
        assert many <= 1.35 * few + 25, costs


@pytest.mark.parametrize("name", GROWING)
@pytest.mark.parametrize("size", [1, 33])
def test_a_streamed_text_looks_like_the_complete_one(name: str, size: int, renderer: LineRenderer) -> None:
    text = f"Before\n\n{GROWING[name](45)}\nAfter"
    streamed, complete = IncrementalMarkdown(renderer), IncrementalMarkdown(renderer)
    for piece in pieces_of(text, size):
        streamed.render(piece)
    assert picture(streamed.render(text, complete=True)) == picture(complete.render(text, complete=True))
    assert streamed.codes == complete.codes


PARTS = (
    *(
        "a",
        "b c",
        "**x**",
        " ",
        "  ",
        "    ",
        "\n",
        "\n",
        "\n",
        "\n\n",
        "- ",
        "* ",
        "1. ",
        "2) ",
        "> ",
        "```",
    ),
    *("```py", "~~~", "| a | b |", "|---|---|", "|", "---", "===", "#", "`", "\\[", "\\]", "$$", "$", "\\("),
    *("\\)", "\\begin{x}", "\\end{x}", "[a]", "[a]: /u\n", "/*", "*/", '"""', "def f(): # c", "\t", "<b>"),
    *("![i](u)", "漢字", "&#x202e;", "_", "+ ", "***"),
)


@pytest.mark.parametrize("seed", range(150))
def test_any_text_looks_the_same_in_pieces(
    seed: int, renderer: LineRenderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what was finished does not change while it grows."""
    monkeypatch.setattr(growing_paragraph, "PIECE", 2)
    generator = random.Random(seed)
    text = "".join(generator.choice(PARTS) for _ in range(generator.randint(3, 60)))
    streamed, end, finished = IncrementalMarkdown(renderer), 0, list[Line]()
    while end < len(text):
        end = min(len(text), end + generator.randint(1, 12))
        lines = streamed.render(text[:end])
        assert picture(lines[: len(finished)]) == picture(finished)
        finished = lines[: streamed.finished]
    complete = IncrementalMarkdown(renderer).render(text, complete=True)
    assert picture(streamed.render(text, complete=True)) == picture(complete)


def picture(lines: list[Line]) -> list[list[Segment]]:
    """Return the lines with equal neighbours joined."""
    return [list(Segment.simplify(line)) for line in lines]


SAMPLES = {
    "python": '"""A\n\ndoc it\'s."""\n\n\ndef f(x):\n    """Two\n    lines."""\n    return f"{x!r}"  # c\n',
    "c": "/* a\n   long it's */\nstatic uint32_t f(size_t n) {\n  return n * 2; // x\n}\n",
    "javascript": "/**\n * it's\n */\nconst t = `a\n${b + `x`}\n`;\nlet r = a / 2 /* x */;\n",
    "java": "/** A.\n * it's\n */\nclass A { int b = 1; }\n",
    "go": "var s = `a\nb it's\n`\nfunc f() int { return 1 }\n",
    "rust": '/* a\n b */\nfn main() { println!("x\ny"); }\n',
    "html": "<!-- a\nb -->\n<style>\na { color: red }\n</style>\n<script>\nlet a = 1;\n</script>\n<p>x</p>\n",
    "css": "/* a\n b */\nbody { color: red; }\n",
    "json": '{\n "a": [1, true, null],\n "b": {"c": "d"}\n}\n',
    "yaml": "a:\n  - b: 1\n",
    "sql": "SELECT a, 'x' FROM t WHERE b = 2; -- c\n",
    "lua": "--[[ a\n b ]]\nlocal x = 1\n",
    "haskell": '{- a\n b -}\nmain = putStrLn "x"\n',
    "ruby": "=begin\nx\n=end\ndef f(a)\nend\n",
}


@pytest.mark.parametrize("language", SAMPLES)
def test_code_read_by_lines_has_the_tokens_of_the_whole(language: str) -> None:
    code = CodeTokens(language)
    for line in SAMPLES[language].rstrip("\n").split("\n"):
        code.add(line)
    lexer = get_lexer_by_name(language, stripnl=False, ensurenl=True)
    whole = code_tokens._by_lines(lexer.get_tokens(SAMPLES[language]))[: len(code.lines)]
    assert [list(filter(has_shape, line)) for line in code.lines] == [
        list(filter(has_shape, line)) for line in whole
    ]


def has_shape(token: code_tokens.Token) -> bool:
    return bool(token[1].strip())


def test_what_never_ends_is_not_read_again_and_again() -> None:
    """A comment that stays open, and then one that ends far below."""
    code = CodeTokens("go")
    for line in ("x := `a", *["b"] * 500, "`"):
        assert code.add(line) >= len(code.lines) - 101
