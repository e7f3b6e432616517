"""A comparison as a table, Markdown, CSV, a web page, and a file that is read again."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from engines.compare.answer_text import heat
from engines.compare.comparison import (
    ChoiceResult,
    Comparison,
    ComparisonError,
    load_comparison,
    save_comparison,
)
from engines.compare.report.card import advice, band, card_markdown, facts, sentence
from engines.compare.report.csv_table import csv_table
from engines.compare.report.files import write_report
from engines.compare.report.html_page import html_page
from engines.compare.report.markdown import markdown
from engines.compare.report.scatter import label_heights, points, scatter
from engines.compare.report.table import COLUMNS, divergence, speed_text
from engines.displayable import displayable
from tests.engines.compare.sample import COMPARISON


def test_what_was_saved_is_read_again(tmp_path: Path) -> None:
    save_comparison(COMPARISON, tmp_path / "comparison.json")
    assert load_comparison(tmp_path / "comparison.json") == COMPARISON


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read"),
        (b"\xff", "does not hold a comparison"),
        (b"{}", "does not hold a comparison"),
        (b"[" * 100_000, "does not hold a comparison"),
    ],
)
def test_other_files_are_refused(content: bytes | None, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "comparison.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ComparisonError, match=reason):
        load_comparison(file)


def test_another_format_is_named(tmp_path: Path) -> None:
    file = tmp_path / "comparison.json"
    save_comparison(COMPARISON, file)
    file.write_text(file.read_text("utf-8").replace('"format": 1', '"format": 2'), "utf-8")
    with pytest.raises(ComparisonError, match="format 2; this release reads 1"):
        load_comparison(file)


def test_lower_bounds_and_busy_machines_are_marked() -> None:
    cells = {column.title: [column.text(row) for row in COMPARISON.rows] for column in COLUMNS}
    assert cells["KLD mean"] == ["0.0025", "≥ 0.20", "0.0040", ""]
    assert cells["tok/s"][:2] == ["110 (100–120)", "110 (100–120)*"]
    assert cells["Same top"][0] == "90.0 % (87.0–92.0)"
    assert speed_text(None) == ""
    assert divergence(2e-6) == "2e-06"


def test_markdown_has_a_line_for_each_engine_and_escapes_names() -> None:
    page = markdown(COMPARISON)
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 5
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in rows}) == 1
    assert r"small\|model" in page
    assert "failed: CPUs have no" in page


def test_csv_has_full_precision() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_table(COMPARISON))))
    assert [row["engine"] for row in rows][:2] == ["PyTorch fp32", "OpenVINO int8"]
    assert float(rows[1]["kld_mean"]) == 0.0025
    assert float(rows[1]["kld_99.9"]) == 0.0025 * 99.9 / 50
    assert rows[2]["kld_is_lower_bound"] == "True"
    assert rows[4]["error"] == "CPUs have no <FP8>."


def test_the_page_escapes_everything_and_fetches_nothing() -> None:
    page = html_page(COMPARISON)
    assert "&lt;b&gt;" in page
    assert "a&amp;b" in page
    assert "no &lt;FP8&gt;" in page
    assert not re.findall(r"""(?:src|href)\s*=|url\(|@import|<script""", page)
    assert "prefers-color-scheme: dark" in page
    body = re.sub(r"<(meta|!doctype)[^>]*>|(?<=<details) open", "", page)
    ElementTree.fromstring(body)  # every element is closed


def test_shades_have_signs_too() -> None:
    assert [heat(kl) for kl in (0.0, 0.01, 0.5, 1.0)] == [0, 1, 2, 3]
    assert "<sup>³</sup>" in html_page(COMPARISON)


def test_the_front_has_the_engines_that_no_other_beats() -> None:
    assert [(point.title, point.is_best) for point in points(COMPARISON)] == [
        ("OpenVINO int4", True),
        ("OpenVINO int8", True),
        ("OpenVINO int6", False),
    ]
    assert scatter(COMPARISON).count("<circle") == 3


NOISY = replace(COMPARISON, noise_floor=0.0025)
ASKED = replace(
    COMPARISON,
    reference=replace(COMPARISON.reference, choices=ChoiceResult((0, 1, 2, 3), 3)),
    rows=tuple(replace(one, choices=ChoiceResult((0, 1, 3, 3), 2, flips=1)) for one in COMPARISON.rows[:3]),
)


def test_a_divergence_that_is_not_above_the_noise_floor_is_marked_everywhere() -> None:
    page = markdown(NOISY)
    assert "| 0.0025° |" in page
    assert "the noise floor is 0.0025 nats" in page
    assert "0.0040°" not in page
    assert "0.0025°" in html_page(NOISY)
    assert html_page(NOISY).count('class="floor"') == 1
    assert "not distinguishable" not in html_page(COMPARISON)
    rows = list(csv.DictReader(io.StringIO(csv_table(NOISY))))
    assert [row["below_noise_floor"] for row in rows] == ["", "True", "False", "False", ""]


def test_accuracy_and_flips_are_in_every_table() -> None:
    assert "| 50.0 % (15.0–85.0) | 1 of 4 |" in markdown(ASKED)
    assert "1 of 4" in html_page(ASKED)
    reference, first, *_ = csv.DictReader(io.StringIO(csv_table(ASKED)))
    assert (reference["accuracy"], reference["flips"]) == ("0.75", "")
    assert (first["accuracy"], first["flips"], first["questions"]) == ("0.5", "1", "4")


def test_a_comparison_of_an_earlier_release_is_read(tmp_path: Path) -> None:
    """One that has neither questions nor a noise floor."""
    file = tmp_path / "comparison.json"
    save_comparison(COMPARISON, file)
    text = file.read_text("utf-8")
    for name in ("choices", "inputs", "noise_floor", "dtype"):
        text = re.sub(rf',\s*"{name}": (?:null|"[^"]*"|\{{\}})', "", text)
    assert "noise_floor" not in text
    file.write_text(text, "utf-8")
    assert load_comparison(file) == COMPARISON


def test_a_report_is_four_files(tmp_path: Path) -> None:
    write_report(ASKED, tmp_path / "new" / "report")
    names = {file.name for file in (tmp_path / "new" / "report").iterdir()}
    assert names == {f"comparison.{suffix}" for suffix in ("json", "csv", "md", "html")}
    assert load_comparison(tmp_path / "new" / "report" / "comparison.json") == ASKED


def test_a_card_has_the_figures_and_a_sentence() -> None:
    int8, int4, int6 = ASKED.rows
    assert [fact.label for fact in facts(int8, ASKED)][:3] == ["weights", "KLD mean", "same top"]
    assert "1 of 4 answers flipped" in sentence(int8, ASKED)
    assert sentence(int4, ASKED).startswith("small|model with OpenVINO int4: 5.0 MB, KLD ≥ 0.20 nats")
    assert card_markdown(int8, ASKED).startswith("**OpenVINO int8**: small|model with OpenVINO int8: 10.0 MB")
    assert facts(ASKED.reference, ASKED)[0].note == ""
    assert (band(int8, ASKED), band(int4, ASKED), band(int8, NOISY)) == (
        "negligible",
        "large",
        "not distinguishable",
    )
    assert advice(int4, ASKED) == "OpenVINO int8: 5.0 MB more, and 80 times closer."
    assert advice(int6, ASKED) == "OpenVINO int8 is smaller, and closer to the reference."
    assert advice(int8, ASKED) == advice(ASKED.reference, ASKED) == ""


def test_names_at_the_same_place_are_written_above_each_other() -> None:
    assert label_heights([(10, 100), (12, 101), (300, 100), (14, 100)]) == [100, 86, 100, 72]


@pytest.mark.parametrize("report", [html_page, markdown])
def test_a_report_shows_no_character_that_cannot_be_seen(report: Callable[[Comparison], str]) -> None:
    """The saved comparison keeps the name as it is."""
    name = "m\u202eevil\u2028\x1b[31m\u200b"
    comparison = replace(COMPARISON, checkpoint=name)
    page = report(comparison)
    assert "evil" in page
    assert displayable(page) == page
    assert comparison.checkpoint == name
